"""What a result will have to show, said before it is measured. Our own predicate.

Cf. the draft of in-toto/attestation, pull request 587. It is about a dataset: whoever changes the
threshold after they saw a result has signed that too late.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Self

from lockgate.domain.decimals import decimal_text
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.instants import instant_text
from lockgate.domain.predicates.fields import Fields

PREDICATE_TYPE: Final = "https://lockgate.io/attestation/prereg/v0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preregistration:
    """One criterion: a metric of a suite on a dataset, and its threshold."""

    registrant: str
    """The holder's name in the trust root."""
    at: datetime
    suite: str
    metric: str
    comparator: str
    threshold: Decimal
    dataset: Digest

    @classmethod
    def read(cls, predicate: JsonObject) -> Self:
        """Read a predicate.

        Raises:
            Corrupt: it is not a prereg v0.1.

        """
        fields = Fields(predicate, "prereg")
        return cls(
            registrant=fields.text("registrant"),
            at=fields.instant("registeredAt"),
            suite=fields.inside("suite").text("name"),
            metric=fields.text("metric"),
            comparator=fields.text("comparator"),
            threshold=fields.decimal("threshold"),
            dataset=fields.inside("dataset").digest("digest"),
        )

    @property
    def document(self) -> dict[str, Json]:
        """The predicate as JSON."""
        return {
            "registrant": self.registrant,
            "registeredAt": instant_text(self.at),
            "suite": {"name": self.suite},
            "metric": self.metric,
            "comparator": self.comparator,
            "threshold": decimal_text(self.threshold),
            "dataset": {"digest": {"sha256": self.dataset.hex}},
        }

    @property
    def criterion(self) -> str:
        """The comparator and the threshold, for messages and to compare."""
        return f"{self.comparator} {decimal_text(self.threshold)}"
