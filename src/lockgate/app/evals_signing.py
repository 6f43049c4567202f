"""Signs what a suite showed of a release, so that a gate can hold it against a policy."""

from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from math import isfinite
from pathlib import PurePosixPath
from typing import Final

from lockgate.app.evals_evaluated import Evaluated
from lockgate.domain.binomial import clopper_pearson
from lockgate.domain.digest import Digest
from lockgate.domain.predicates.evaluation import (
    PREDICATE_TYPE,
    Evaluation,
    Interval,
    Measured,
)
from lockgate.domain.statement import Statement, Subject
from lockgate.errors import NoAnswer, UsageError

SHARE: Final = "pass_rate"
_LEVEL: Final = Decimal("0.95")
_PLACES: Final = Decimal("0.000001")
_MOST: Final = 10**12


def suite_name(suite: str) -> str:
    """Return what a policy calls a suite: its file, without the ending, or its folder."""
    path = PurePosixPath(suite)
    if path.stem.startswith("promptfooconfig"):
        return path.parent.name or "suite"
    return path.stem


def the_release(found: Evaluated) -> Digest:
    """Return the release that answered.

    Raises:
        UsageError: none did, or several.

    """
    digests = sorted(set(found.releases.values()))
    if len(digests) != 1:
        listed = ", ".join(map(str, digests)) or "none"
        raise UsageError(
            f"the suite was answered by the releases {listed}; a statement is about one",
            hint="name one task with `--provider lockgate:task:NAME`",
        )
    return digests[0]


def suite_evaluation(
    found: Evaluated, task: str, *, name: str, evaluator: str, now: datetime
) -> Statement:
    """Return what the results of a suite show: the share of passed cases, and each metric.

    Raises:
        NoAnswer: not every case was answered as it was asked for: that measures the machine.

    """
    _require_answers(found)
    said = Evaluation(
        evaluator=evaluator,
        evaluated_at=now,
        suite=name,
        suite_version=found.suite_digest.hex[:12],
        claims=(_pass_rate(found), *_metrics(found)),
        sample_size=found.cases,
        model=the_release(found),
        dataset=found.dataset,
        harness="lockgate",
        harness_version=found.harness_version,
        harness_digest=found.harness,
        samples_root=found.results,
    )
    return Statement(
        subjects=(Subject(name=task, digest=the_release(found)),),
        predicate_type=PREDICATE_TYPE,
        predicate=said.document,
    )


def _require_answers(found: Evaluated) -> None:
    if found.cases == 0 or found.errors or found.skipped or found.degraded:
        raise NoAnswer(
            f"of {found.cases} case(s) {found.errors} had errors and {found.skipped} did not run"
            f"{', and the run is degraded' if found.degraded else ''}",
            hint="nothing was signed; only a whole run says something of a release",
        )


def _pass_rate(found: Evaluated) -> Measured:
    lower, upper = clopper_pearson(found.passed, found.cases, float(_LEVEL))
    return Measured(
        metric=SHARE,
        value=(Decimal(found.passed) / found.cases).quantize(_PLACES, ROUND_HALF_EVEN),
        interval=Interval(
            lower=Decimal(lower).quantize(_PLACES, ROUND_FLOOR),
            upper=Decimal(upper).quantize(_PLACES, ROUND_CEILING),
            level=_LEVEL,
        ),
    )


def _metrics(found: Evaluated) -> tuple[Measured, ...]:
    """Return the suite's own metrics; one that is no ordinary number cannot be compared."""
    return tuple(
        Measured(metric=name, value=Decimal(value).quantize(_PLACES, ROUND_HALF_EVEN))
        for name, value in sorted(found.metrics.items())
        if name != SHARE and isfinite(value) and abs(value) < _MOST
    )
