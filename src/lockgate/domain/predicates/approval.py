"""What a person said about a release, for one environment. Our own predicate."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.instants import instant_text
from lockgate.domain.predicates.fields import Fields
from lockgate.errors import Corrupt

PREDICATE_TYPE: Final = "https://lockgate.io/attestation/approval/v0.1"


class Choice(StrEnum):
    """What was decided."""

    APPROVED = "approved"
    REJECTED = "rejected"
    """A veto, until the same holder approves."""
    BREAK_GLASS = "break-glass"
    """An emergency: sets aside what the policy lets it set aside. Needs a reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A decision of one holder of a key."""

    approver: str
    """The holder's name in the trust root: it must be the signer."""
    choice: Choice
    environment: str
    """The gate that it is for."""
    release: Digest
    at: datetime
    reason: str = ""

    @classmethod
    def read(cls, predicate: JsonObject) -> Self:
        """Read a predicate.

        Raises:
            Corrupt: it is not an approval v0.1, or a break-glass without a reason.

        """
        fields = Fields(predicate, "approval")
        word = fields.text("decision")
        if word not in set(Choice):
            raise Corrupt(f"approval.decision is `{word[:80]}`, not one of {', '.join(Choice)}")
        found = cls(
            approver=fields.text("approver"),
            choice=Choice(word),
            environment=fields.text("gate"),
            release=fields.inside("release").digest("digest"),
            at=fields.instant("decidedAt"),
            reason=fields.text("reason", default=""),
        )
        if found.choice is Choice.BREAK_GLASS and not found.reason.strip():
            raise fields.wrong("reason", "is empty, and a break-glass approval needs one")
        return found

    @property
    def document(self) -> dict[str, Json]:
        """The predicate as JSON."""
        return {
            "approver": self.approver,
            "decision": str(self.choice),
            "gate": self.environment,
            "release": {"digest": {"sha256": self.release.hex}},
            "decidedAt": instant_text(self.at),
            "reason": self.reason,
        }
