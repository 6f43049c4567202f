"""The audit log: what happened, chained so that an edit, a gap or a cut shows.

The digest of an event covers every other member, the digest before it included (`previous`).
The chain alone cannot show that its last events were cut off, so the head (sequence number and
digest of the newest event) is kept beside it and is the last line of an export.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.errors import Corrupt

GENESIS = Digest("0" * 64)


class Entry(NamedTuple):
    """What is to be recorded."""

    id: str
    """The call's id, or a new one for an administrative action."""
    at: datetime
    """Aware, UTC."""
    actor: str
    action: str
    """`call`, `model.pull`, …"""
    subject: str
    detail: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """A link in the chain. `digest` covers everything else."""

    seq: int
    """From 1, without gaps."""
    entry: Entry
    previous: Digest
    digest: Digest

    @property
    def document(self) -> dict[str, Json]:
        """The event as JSON, digest included: one line of an export."""
        return {**_body(self.seq, self.entry, self.previous), "digest": str(self.digest)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest event of a chain; `Head()` for an empty one."""

    seq: int = 0
    digest: Digest = GENESIS


def _body(seq: int, entry: Entry, previous: Digest) -> dict[str, Json]:
    return {
        "seq": seq,
        "id": entry.id,
        "at": entry.at.isoformat(timespec="microseconds"),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "previous": str(previous),
    }


def seal(head: Head, entry: Entry) -> AuditEvent:
    """Return the event that follows `head`."""
    seq = head.seq + 1
    digest = Digest.of_json(_body(seq, entry, head.digest))
    return AuditEvent(seq=seq, entry=entry, previous=head.digest, digest=digest)


class WrittenEntry(NamedTuple):
    """An entry as canonical JSON, all but its place in the chain. `write` makes one."""

    id: str
    at: str
    action: str
    subject: str
    before: bytes
    """The members that RFC 8785 sorts before `digest`: action, actor, at, detail."""


def write(entry: Entry, detail: bytes | None = None) -> WrittenEntry:
    """Encode an entry, once for good. `detail` is the canonical JSON of `entry.detail`, if known.

    Raises:
        ValueError: it has no canonical form.

    """
    assert entry.at.utcoffset() == timedelta(0), "the time of an entry is in UTC"
    at = entry.at.isoformat(timespec="microseconds")
    before = b'{"action":%b,"actor":%b,"at":"%b","detail":%b' % (
        canonical(entry.action),
        canonical(entry.actor),
        at.encode("ascii"),
        canonical(entry.detail) if detail is None else detail,
    )
    return WrittenEntry(entry.id, at, entry.action, entry.subject, before)


def seal_all(head: Head, entries: Iterable[WrittenEntry]) -> tuple[Head, list[bytes]]:
    """Return the head after entries, and the canonical JSON of their events.

    The same events as `seal` makes, at a fraction of its cost: what is hashed is what was written.

    Raises:
        ValueError: an id or a subject has no canonical form.

    """
    seq, previous = head.seq, head.digest.hex
    encoded: list[bytes] = []
    for entry in entries:
        seq += 1
        after = b'"id":%b,"previous":"sha256:%b","seq":%d,"subject":%b}' % (
            canonical(entry.id),
            previous.encode("ascii"),
            seq,
            canonical(entry.subject),
        )
        previous = hashlib.sha256(b"%b,%b" % (entry.before, after)).hexdigest()
        digest = previous.encode("ascii")
        encoded.append(b'%b,"digest":"sha256:%b",%b' % (entry.before, digest, after))
    return Head(seq=seq, digest=Digest(previous)), encoded


def verify(events: Iterable[AuditEvent], head: Head) -> int:
    """Check a chain from its first event to `head`, and return its length.

    Raises:
        Corrupt: naming the first event that does not follow from the one before, or the head
            that does not match.

    """
    at = Head()
    for event in events:
        at = follow(at, event)
    end(at, head)
    return at.seq


def follow(head: Head, event: AuditEvent) -> Head:
    """Return the head after `event`.

    Raises:
        Corrupt: it does not follow from `head`.

    """
    expected = seal(head, event.entry)
    if event != expected:
        raise Corrupt(
            f"audit event {head.seq + 1} does not follow from event {head.seq}: "
            f"its digest is {event.digest}, expected {expected.digest}",
            hint="the log was edited, reordered or cut; compare it with an export",
        )
    return Head(seq=event.seq, digest=event.digest)


def end(at: Head, head: Head) -> None:
    """Check that a chain which leads to `at` ends there.

    Raises:
        Corrupt: `head` is another event.

    """
    if at != head:
        raise Corrupt(
            f"the audit log ends at event {at.seq} ({at.digest}), "
            f"but its head says {head.seq} ({head.digest})",
            hint="events were cut off or added; compare it with an export",
        )
