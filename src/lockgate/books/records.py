"""What the spool holds, as bytes: one letter for the kind, then a JSON array."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from lockgate.domain.audit import Entry
from lockgate.domain.audit_export import MAX_EVENT_BYTES
from lockgate.domain.budget import Bucket, UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.errors import Corrupt, StorageFailed

_RESERVED: Final = b"R"
_SETTLED: Final = b"S"
_RELEASED: Final = b"X"
_AUDITED: Final = b"A"
_MOST: Final = MAX_EVENT_BYTES - 1024  # the chain adds a number and two digests
# What may have no canonical form: surrogates, numbers that are none, and large integers.
_ODD: Final = re.compile(rb"\\ud|NaN|Infinity|(?<![0-9a-f])[0-9]{16}")
_EXACT: Final = 2**53  # RFC 8785 3.2.2.3: beyond, integers have no canonical form
_ENCODE = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode


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

    entry: Entry


Content: TypeAlias = Reserved | Settled | Released | Audited


def encode_reserved(event: UsageEvent, buckets: Sequence[Bucket]) -> bytes:
    """Write a `Reserved`."""
    return _RESERVED + _event(event, buckets)


def encode_settled(event: UsageEvent, buckets: Sequence[Bucket]) -> bytes:
    """Write a `Settled`."""
    return _SETTLED + _event(event, buckets)


def encode_released(name: str) -> bytes:
    """Write a `Released`."""
    return _RELEASED + _ENCODE([name]).encode("ascii")


def encode_audited(entry: Entry) -> bytes:
    """Write an `Audited`.

    Raises:
        StorageFailed: it is too large for the audit log.

    """
    at = entry.at.isoformat()
    parts = [entry.id, at, entry.actor, entry.action, entry.subject, entry.detail]
    content = _AUDITED + _ENCODE(parts).encode("ascii")
    if len(content) > _MOST:
        raise StorageFailed(
            f"the audit event of `{entry.id[:80]}` has {len(content)} bytes, the most is {_MOST}"
        )
    return content


def decode(content: bytes) -> Content:
    """Read a record.

    Raises:
        Corrupt: it is none: its checksum was right, so another program wrote it.

    """
    try:
        parts = json.loads(content[1:])
        if content[:1] == _AUDITED and _ODD.search(content):
            parts = _canonical(parts)
        match content[:1]:
            case b"R":
                return Reserved(*_read_event(parts))
            case b"S":
                return Settled(*_read_event(parts))
            case b"X":
                return Released(str(parts[0]))
            case b"A":
                name, at, actor, action, subject, detail = parts
                return Audited(
                    Entry(
                        id=name,
                        at=datetime.fromisoformat(at),
                        actor=actor,
                        action=action,
                        subject=subject,
                        detail=detail,
                    )
                )
    except (ValueError, TypeError, IndexError, KeyError, RecursionError) as error:
        raise Corrupt(f"a record of the usage spool is malformed: {error}") from error
    raise Corrupt(f"the usage spool has a record of the unknown kind {content[:1]!r}")


def _event(event: UsageEvent, buckets: Sequence[Bucket]) -> bytes:
    counts = event.counts
    return _ENCODE(
        [
            event.id,
            event.at.isoformat(),
            event.key,
            event.team,
            event.task,
            event.route,
            event.model,
            event.release,
            counts.input_tokens,
            counts.cached_tokens,
            counts.output_tokens,
            counts.duration_us,
            event.nanos,
            list(event.flags),
            [(bucket.account, bucket.period) for bucket in buckets],
        ]
    ).encode("ascii")


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
        flags=frozenset(flags),
    )
    return event, tuple(Bucket(account, period) for account, period in buckets)


def _canonical(value: Any) -> Any:
    """Return what has a canonical form: one odd entry must not hold up all that follow it."""
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
