"""The audit log: what happened, chained so that an edit, a gap or a cut shows.

The digest of an event covers every other member, the digest before it included (`previous`).
The chain alone cannot show that its last events were cut off, so the head (sequence number and
digest of the newest event) is kept beside it and is the last line of an export.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.errors import Corrupt

GENESIS = Digest("0" * 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
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


def seal_encoded(head: Head, entry: Entry) -> tuple[AuditEvent, bytes]:
    """Return what `seal` does, and the event's canonical JSON, for the work of one of them.

    The digest's own member stands between `detail` and `id` (RFC 8785 sorts them): what comes
    before and after it is what the digest is taken over.
    """
    seq = head.seq + 1
    whole = canonical(_body(seq, entry, head.digest))
    digest = Digest.of(whole)
    tail = canonical({"id": entry.id, "previous": str(head.digest), "seq": seq})[1:-1]
    tail += b"," + canonical({"subject": entry.subject})[1:]
    before = whole[: -len(tail) - 1]
    encoded = before + b',"digest":"' + str(digest).encode("ascii") + b'",' + tail
    return AuditEvent(seq=seq, entry=entry, previous=head.digest, digest=digest), encoded


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
