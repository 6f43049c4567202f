"""That a release came to an environment. Our own predicate."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.instants import instant_text
from lockgate.domain.predicates.fields import Fields

PREDICATE_TYPE: Final = "https://lockgate.io/attestation/promotion/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One change of what runs in an environment."""

    to: str
    """Environment."""
    release: Digest
    at: datetime
    actor: str
    verdict: Digest
    """Of the signed verification summary that let it through."""
    source: str = ""
    """The environment that it came from; empty for none."""
    previous: Digest | None = None
    """What ran there before."""
    log_index: int | None = None
    """The audit event's number."""
    reason: str = ""

    @classmethod
    def read(cls, predicate: JsonObject) -> Self:
        """Read a predicate.

        Raises:
            Corrupt: it is not a promotion v1.

        """
        fields = Fields(predicate, "promotion")
        return cls(
            to=fields.text("to"),
            release=fields.inside("release").digest("digest"),
            at=fields.instant("promotedAt"),
            actor=fields.text("actor"),
            verdict=fields.inside("verdict").digest("digest"),
            source=fields.text("from", default=""),
            previous=fields.inside("previous").digest("digest") if fields.has("previous") else None,
            log_index=fields.integer("logIndex") if fields.has("logIndex") else None,
            reason=fields.text("reason", default=""),
        )

    @property
    def document(self) -> dict[str, Json]:
        """The predicate as JSON."""
        found: dict[str, Json] = {
            "to": self.to,
            "release": {"digest": {"sha256": self.release.hex}},
            "promotedAt": instant_text(self.at),
            "actor": self.actor,
            "verdict": {"digest": {"sha256": self.verdict.hex}},
            "from": self.source,
            "reason": self.reason,
        }
        if self.previous is not None:
            found["previous"] = {"digest": {"sha256": self.previous.hex}}
        if self.log_index is not None:
            found["logIndex"] = self.log_index
        return found
