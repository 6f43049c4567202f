"""What the spool holds, as bytes: one letter for the kind, then a JSON array.

An audit entry is followed by a line of canonical JSON, which nobody writes a second time: the
chain is taken over it as it is.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from lockgate.domain.audit import Entry, WrittenEntry, write
from lockgate.domain.audit_export import MAX_EVENT_BYTES
from lockgate.domain.budget import Bucket, UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.errors import Corrupt, StorageFailed

_RESERVED: Final = b"R"
_RELEASED: Final = b"X"
_AUDITED: Final = b"A"
_NONE: Final[frozenset[str]] = frozenset()
MOST_BYTES: Final = MAX_EVENT_BYTES - 1024
"""Of a record with an audit entry: the chain adds a number and two digests."""
_EXACT: Final = 2**53  # RFC 8785 3.2.2.3: beyond, integers have no canonical form
_ENCODE = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode
_QUOTE = json.encoder.encode_basestring_ascii
_READ = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Reserved:
    """A call is about to be made; `event` is the dearest that it can become."""

    event: UsageEvent
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A call was made, and this is what it cost."""

    event: UsageEvent
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """A call was not made after all."""

    id: str


@dataclass(frozen=True, slots=True)
class Audited:
    """An entry for the audit log."""

    entry: WrittenEntry


Content: TypeAlias = Reserved | Settled | Released | Audited


class CommonParts(NamedTuple):
    """What the records of a call share: it is written twice, and put together once."""

    before: str
    after: str


def common_parts(event: UsageEvent, buckets: Sequence[Bucket]) -> CommonParts:
    """Return what all records have of calls with this event's names, and of these buckets."""
    names = _names(event.key, event.team, event.task, event.route, event.model, event.release)
    places = ",".join([f"[{_names(each.account, each.period)}]" for each in buckets])
    return CommonParts(f'[{_QUOTE(event.id)},"{event.at.isoformat()}",{names},', f",[{places}]]")


def encode_reserved(event: UsageEvent, common: CommonParts) -> bytes:
    """Write a `Reserved`. `common` are the `common_parts` of the event."""
    return _event("R", event, common)


def encode_settled(event: UsageEvent, common: CommonParts) -> bytes:
    """Write a `Settled`. `common` are the `common_parts` of the event."""
    return _event("S", event, common)


def encode_released(name: str) -> bytes:
    """Write a `Released`."""
    return _RELEASED + _ENCODE([name]).encode("ascii")


def encode_audited(entry: Entry, detail: bytes | None = None) -> bytes:
    """Write an `Audited`. `detail` is the canonical JSON of `entry.detail`, if known.

    What has no canonical form is changed until it has one: one odd entry must not hold up all
    that follow it.

    Raises:
        StorageFailed: it is too large for the audit log.

    """
    try:
        entry.id.encode("utf-8")
        entry.subject.encode("utf-8")
        written = write(entry, detail)
    except ValueError:
        written = write(_canonical_entry(entry))
    head = (
        f'["{written.at}",{",".join(map(_QUOTE, (written.id, written.action, written.subject)))}]'
    )
    content = b"%b%b\n%b" % (_AUDITED, head.encode("ascii"), written.before)
    if len(content) > MOST_BYTES:
        raise StorageFailed(
            f"the audit event of `{entry.id[:80]}` has {len(content)} bytes, "
            f"the most is {MOST_BYTES}"
        )
    return content


UNBOOKED: Final = (_RESERVED, _RELEASED)
"""What records begin with that are not for the database: what was only reserved."""


def decode(content: bytes) -> Content:
    """Read a record.

    Raises:
        Corrupt: it is none: its checksum was right, so another program wrote it.

    """
    try:
        kind = content[:1]
        head, _, before = content.partition(b"\n")
        parts, _ = _READ(head.decode("ascii"), 1)
        match kind:
            case b"A":
                return _read_audited(parts, before)
            case b"S":
                return Settled(*_read_event(parts))
            case b"R":
                return Reserved(*_read_event(parts))
            case b"X":
                return Released(str(parts[0]))
    except (ValueError, TypeError, IndexError, KeyError, RecursionError) as error:
        raise Corrupt(f"a record of the usage spool is malformed: {error}") from error
    raise Corrupt(f"the usage spool has a record of the unknown kind {content[:1]!r}")


def _event(kind: str, event: UsageEvent, common: CommonParts) -> bytes:
    counts = event.counts
    flags = _ENCODE(list(event.flags)) if event.flags else "[]"
    return (
        f"{kind}{common.before}{counts.input_tokens},{counts.cached_tokens},"
        f"{counts.output_tokens},{counts.duration_us},{event.nanos},{flags}{common.after}"
    ).encode("ascii")


@lru_cache(maxsize=1024)
def _names(*names: str) -> str:
    """Write what many events share."""
    return ",".join(map(_QUOTE, names))


@lru_cache(maxsize=1024)
def _bucket(account: str, period: str) -> Bucket:
    """Return a bucket; the same one for the events that share it."""
    return Bucket(account, period)


def _read_event(parts: Any) -> tuple[UsageEvent, tuple[Bucket, ...]]:
    (name, at, key, team, task, route, model, release, given, cached, output, time) = parts[:12]
    nanos, flags, buckets = parts[12:]
    event = UsageEvent(
        id=name,
        at=datetime.fromisoformat(at),
        key=key,
        team=team,
        task=task,
        route=route,
        model=model,
        release=release,
        counts=TokenCounts(
            input_tokens=given,
            cached_tokens=cached,
            output_tokens=output,
            duration_us=time,
            estimated="estimated" in flags,
        ),
        nanos=nanos,
        flags=frozenset(flags) if flags else _NONE,
    )
    return event, tuple([_bucket(account, period) for account, period in buckets])


def _read_audited(parts: Any, before: bytes) -> Audited:
    if not all(isinstance(part, str) for part in parts[:4]):
        raise TypeError("an audit entry has a member that is no text")
    if before:
        at, name, action, subject = parts
        return Audited(WrittenEntry(name, at, action, subject, before))
    # As programs before this one wrote it.
    name, at, actor, action, subject, detail = parts
    if not isinstance(subject, str) or not isinstance(detail, dict):
        raise TypeError("an audit entry has no subject or no detail")
    entry = Entry(
        id=name,
        at=datetime.fromisoformat(at).astimezone(UTC),
        actor=actor,
        action=action,
        subject=subject,
        detail=detail,
    )
    return Audited(write(_canonical_entry(entry)))


def _canonical_entry(entry: Entry) -> Entry:
    return entry._replace(
        id=_canonical(entry.id),
        actor=_canonical(entry.actor),
        action=_canonical(entry.action),
        subject=_canonical(entry.subject),
        detail=_canonical(entry.detail),
    )


def _canonical(value: Any) -> Any:
    """Return what has a canonical form."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_canonical(name): _canonical(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > _EXACT:
        return str(value)
    return value
