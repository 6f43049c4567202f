"""A checkpoint of the audit log: its head at a time, to be signed and kept out of reach.

The chain alone cannot show that it was rewritten as a whole. Whoever holds a signed checkpoint can:
the log must still have that event, with that digest.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lockgate.domain.audit import AuditEvent, Head
from lockgate.domain.digest import Digest, canonical
from lockgate.errors import Corrupt, UsageError

PAYLOAD_TYPE: Final = "application/vnd.lockgate.audit-checkpoint.v1+json"
_MEMBERS: Final = frozenset({"at", "digest", "seq"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What the log was at a time. `parse(encode(c)) == c`."""

    head: Head
    at: datetime

    def encode(self) -> bytes:
        """Return its only form."""
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        return canonical({"at": at, "digest": str(self.head.digest), "seq": self.head.seq})

    @classmethod
    def parse(cls, data: bytes) -> "Checkpoint":
        """Read a checkpoint. Raises Corrupt if it is none, or in another form."""
        try:
            document = json.loads(data)
            if not isinstance(document, dict) or document.keys() != _MEMBERS:
                raise Corrupt("a checkpoint has other members than `at`, `digest` and `seq`")
            head = Head(seq=document["seq"], digest=Digest.parse(document["digest"]))
            found = cls(head=head, at=datetime.fromisoformat(document["at"]))
            same = type(document["seq"]) is int and found.encode() == data
        except (ValueError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise Corrupt(f"a checkpoint is malformed: {error}") from error
        if not same:
            raise Corrupt("a checkpoint is not in its canonical form")
        return found


class Watch:
    """Holds a chain, event by event, against checkpoints of it."""

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._open = sorted(checkpoints, key=lambda c: c.head.seq)

    def follow(self, event: AuditEvent) -> None:
        """Look at the next event. Raises Corrupt if a checkpoint says something else of it."""
        while self._open and self._open[0].head.seq <= event.seq:
            wanted = self._open.pop(0)
            if wanted.head not in {Head(seq=event.seq, digest=event.digest), Head()}:
                raise Corrupt(
                    f"audit event {event.seq} has the digest {event.digest}, the checkpoint of "
                    f"{wanted.at.isoformat()} says {wanted.head.digest}",
                    hint="the log was rewritten; compare it with an export",
                )

    def end(self, head: Head) -> None:
        """Look at the end. Raises Corrupt if a checkpoint is beyond it."""
        if self._open and self._open[0].head.seq > head.seq:
            wanted = self._open[0]
            raise Corrupt(
                f"the audit log ends at event {head.seq}, the checkpoint of "
                f"{wanted.at.isoformat()} is of event {wanted.head.seq}",
                hint="events were cut off; compare it with an export",
            )
