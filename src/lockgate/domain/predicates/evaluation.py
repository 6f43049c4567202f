"""What an evaluation showed.

The shape is the draft `eval-result` v0.1 of in-toto (in-toto/attestation, pull request 575), under
a URI of our own until it is registered. The draft says only whether a claim passed its own
threshold; a policy needs the value itself, so each claim carries it under a URI-named extension.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Self

from lockgate.domain.decimals import decimal_text
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.instants import instant_text
from lockgate.domain.predicates.fields import Fields

PREDICATE_TYPE: Final = "https://lockgate.io/attestation/eval-result/v0.1"
OBSERVED: Final = "https://lockgate.io/observed"
SUBJECT_PROFILE: Final = "release-gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A confidence interval."""

    lower: Decimal
    upper: Decimal
    level: Decimal
    """`0.95` for 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One metric: what was observed, and what the evaluator thinks of it."""

    metric: str
    value: Decimal
    interval: Interval | None = None
    comparator: str = ">="
    threshold: Decimal = Decimal(0)
    """The evaluator's own. A gate holds the value against the policy's."""
    passed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The result of one suite on one dataset."""

    evaluator: str
    evaluated_at: datetime
    suite: str
    suite_version: str
    claims: tuple[Measured, ...]
    sample_size: int
    model: Digest
    """What was evaluated: the release."""
    dataset: Digest
    harness: str
    harness_version: str
    harness_digest: Digest
    assurance: str = "self_attested"
    """`assuranceLevel`, as the evaluator declares it; nothing is concluded from it."""
    samples_root: Digest | None = None
    """Merkle root over the results of the single samples."""

    @classmethod
    def read(cls, predicate: JsonObject) -> Self:
        """Read a predicate.

        Raises:
            Corrupt: it is not an eval-result v0.1 with observed values.

        """
        fields = Fields(predicate, "eval-result")
        suite, harness = fields.inside("suite"), fields.inside("harness")
        observed = fields.inside(OBSERVED) if fields.has(OBSERVED) else None
        return cls(
            evaluator=fields.inside("evaluator").text("id"),
            evaluated_at=fields.instant("evaluatedAt"),
            suite=suite.text("name"),
            suite_version=suite.text("version", default=""),
            claims=tuple(_measured(item) for item in fields.each("claims")),
            sample_size=fields.integer("sampleSize"),
            model=fields.inside("model").digest("digest"),
            dataset=fields.inside("dataset").digest("digest"),
            harness=harness.text("name"),
            harness_version=harness.text("version", default=""),
            harness_digest=harness.digest("digest"),
            assurance=fields.text("assuranceLevel", default=""),
            samples_root=observed.digest("samplesRoot") if observed is not None else None,
        )

    @property
    def document(self) -> dict[str, Json]:
        """The predicate as JSON."""
        found: dict[str, Json] = {
            "evaluator": {"id": self.evaluator},
            "evaluatedAt": instant_text(self.evaluated_at),
            "suite": {"name": self.suite, "version": self.suite_version},
            "claims": [_claim(item) for item in self.claims],
            "sampleSize": self.sample_size,
            "model": {"digest": {"sha256": self.model.hex}},
            "dataset": {"digest": {"sha256": self.dataset.hex}},
            "assuranceLevel": self.assurance,
            "subjectProfile": SUBJECT_PROFILE,
            "harness": {
                "name": self.harness,
                "version": self.harness_version,
                "digest": {"sha256": self.harness_digest.hex},
            },
        }
        if self.samples_root is not None:
            found[OBSERVED] = {"samplesRoot": {"sha256": self.samples_root.hex}}
        return found

    def measured(self, metric: str) -> Measured | None:
        """Return what was observed of a metric."""
        return next((claim for claim in self.claims if claim.metric == metric), None)


def _measured(fields: Fields) -> Measured:
    observed = fields.inside(OBSERVED)
    interval = observed.inside("interval") if observed.has("interval") else None
    return Measured(
        metric=fields.text("metric"),
        value=observed.decimal("value"),
        interval=None
        if interval is None
        else Interval(
            lower=interval.decimal("lower"),
            upper=interval.decimal("upper"),
            level=interval.decimal("level"),
        ),
        comparator=fields.text("comparator"),
        threshold=fields.decimal("threshold"),
        passed=fields.boolean("passed"),
    )


def _claim(measured: Measured) -> dict[str, Json]:
    observed: dict[str, Json] = {"value": decimal_text(measured.value)}
    if measured.interval is not None:
        observed["interval"] = {
            "lower": decimal_text(measured.interval.lower),
            "upper": decimal_text(measured.interval.upper),
            "level": decimal_text(measured.interval.level),
        }
    return {
        "metric": measured.metric,
        "comparator": measured.comparator,
        "threshold": decimal_text(measured.threshold),
        "passed": measured.passed,
        OBSERVED: observed,
    }
