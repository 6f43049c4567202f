"""Evaluates a release on the cases that it pins, and says so in a statement."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from pathlib import Path

from lockgate import __version__
from lockgate.domain.binomial import clopper_pearson
from lockgate.domain.digest import Digest, Json
from lockgate.domain.predicates.evaluation import (
    PREDICATE_TYPE,
    Evaluation,
    Interval,
    Measured,
)
from lockgate.domain.release import Release
from lockgate.domain.statement import Statement, Subject
from lockgate.errors import NoAnswer, NotFound, UsageError

SUITE = "core"
METRIC = "accuracy"
DATASET_ROLE = "eval-dataset"
_LEVEL = Decimal("0.95")
_PLACES = Decimal("0.000001")
_PACKAGE = Path(__file__).parents[1]


def evaluation_of(
    digest: Digest,
    release: Release,
    results: Sequence[dict[str, Json]],
    *,
    evaluator: str,
    now: datetime,
) -> Statement:
    """Return what the results of a release's own cases show.

    Raises:
        NotFound: the release pins no cases.
        UsageError: another release answered.
        NoAnswer: a case got no answer, or a degraded one: that measures the machine.

    """
    try:
        dataset = release.pin(DATASET_ROLE)
    except NotFound as error:
        raise NotFound(
            f"the release of `{release.task}` pins no evaluation cases",
            hint="write some into the task's `cases.jsonl`, and build the release again",
        ) from error
    _require_answers(digest, results)
    total = len(results)
    passed = sum(not result["problems"] for result in results)
    lower, upper = clopper_pearson(passed, total, float(_LEVEL))
    claim = Measured(
        metric=METRIC,
        value=(Decimal(passed) / total).quantize(_PLACES, ROUND_HALF_EVEN),
        # Outward, so that rounding never makes us surer than we are.
        interval=Interval(
            lower=Decimal(lower).quantize(_PLACES, ROUND_FLOOR),
            upper=Decimal(upper).quantize(_PLACES, ROUND_CEILING),
            level=_LEVEL,
        ),
    )
    said = Evaluation(
        evaluator=evaluator,
        evaluated_at=now,
        suite=SUITE,
        suite_version=release.version,
        claims=(claim,),
        sample_size=total,
        model=digest,
        dataset=dataset.digest,
        harness="lockgate",
        harness_version=__version__,
        harness_digest=harness_digest(),
    )
    return Statement(
        subjects=(Subject(name=release.task, digest=digest),),
        predicate_type=PREDICATE_TYPE,
        predicate=said.document,
    )


def _require_answers(digest: Digest, results: Sequence[dict[str, Json]]) -> None:
    """Refuse results of another release, and those that are not as the release promises."""
    others = {str(result["release"]) for result in results if result["release"]} - {str(digest)}
    if others:
        raise UsageError(
            f"{', '.join(sorted(others))} answered, to be evaluated was {digest}",
            hint="build the release of what is configured here, and evaluate that",
        )
    for result in results:
        reasons = result["problems"] if result["release"] is None else result["degraded"]
        if isinstance(reasons, list) and reasons:
            raise NoAnswer(
                f"the case `{result['name']}` was not answered as the release promises: "
                f"{reasons[0]}",
                hint="nothing was signed; see `lockgate doctor`",
            )


def harness_digest() -> Digest:
    """Return the digest of all our own code: what measured."""
    hasher = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        data = path.read_bytes()
        hasher.update(f"{path.relative_to(_PACKAGE).as_posix()}\0{len(data)}\0".encode())
        hasher.update(data)
    return Digest(hasher.hexdigest())
