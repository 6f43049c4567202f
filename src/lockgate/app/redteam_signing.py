"""Signs what a red team showed of a release, so that a gate can hold it against a policy."""

from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Final

from lockgate.domain.digest import Digest, Json
from lockgate.domain.predicates.evaluation import (
    PREDICATE_TYPE,
    Evaluation,
    Interval,
    Measured,
)
from lockgate.domain.statement import Statement, Subject
from lockgate.errors import NoAnswer
from lockgate.redteam.report.document import Report
from lockgate.redteam.results import CONFIDENCE, Rate, Status

SUITE: Final = "redteam"
"""What a policy calls it."""
_LEVEL: Final = Decimal(str(CONFIDENCE))
_PLACES: Final = Decimal("0.000001")


def redteam_evaluation(
    report: Report, *, harness: Digest, evaluator: str, now: datetime
) -> Statement:
    """Return the share of attacks that were withstood: of all (`pass_rate`), and of each family.

    Raises:
        NoAnswer: nothing ran, or rules stood in for the model: that measures the machine.

    """
    degraded = any(trial.degraded for trial in report.trials)
    if report.status in {Status.NOTHING_RAN, Status.DEGRADED} or degraded:
        raise NoAnswer(
            f"the run is `{Status.DEGRADED if degraded else report.status}`: nothing was signed",
            hint="only a whole run says something of a release",
        )
    release = Digest.parse(report.release)
    said = Evaluation(
        evaluator=evaluator,
        evaluated_at=now,
        suite=SUITE,
        suite_version=f"seed {report.seed}",
        claims=tuple(_claims(report)),
        sample_size=len(report.trials),
        model=release,
        dataset=attacks_digest(report),
        harness="lockgate",
        harness_version=report.version,
        harness_digest=harness,
        samples_root=Digest.of_json(report.document["trials"]),
    )
    return Statement(
        subjects=(Subject(name=report.task, digest=release),),
        predicate_type=PREDICATE_TYPE,
        predicate=said.document,
    )


def attacks_digest(report: Report) -> Digest:
    """Return the digest of the attacks: fewer, or easier, ones are another dataset to a policy."""
    attacks: list[Json] = [
        [trial.attack.id, trial.attack.surface, trial.attack.family] for trial in report.trials
    ]
    return Digest.of_json(attacks)


def _claims(report: Report) -> Iterator[Measured]:
    through = len(report.succeeded)
    yield _withstood(
        "pass_rate", Rate(attacks=len(report.trials), succeeded=through, unguarded=None)
    )
    for result in report.families:
        yield _withstood(f"withstood.{result.family.id}", result.rate)


def _withstood(metric: str, rate: Rate) -> Measured:
    lower, upper = rate.interval
    return Measured(
        metric=metric,
        value=(1 - Decimal(rate.succeeded) / rate.attacks).quantize(_PLACES, ROUND_HALF_EVEN),
        interval=Interval(
            lower=(1 - Decimal(upper)).quantize(_PLACES, ROUND_FLOOR),
            upper=(1 - Decimal(lower)).quantize(_PLACES, ROUND_CEILING),
            level=_LEVEL,
        ),
    )
