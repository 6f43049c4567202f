"""What the linear classifiers of a task look at, over the cases of a suite."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.calls import new_call
from lockgate.app.classified import Rows, watched
from lockgate.app.engine import open_engine
from lockgate.app.evals_answering import input_of
from lockgate.app.evals_explain import attributions, rule_on_features
from lockgate.app.evals_suites import find_suite
from lockgate.app.models import model_store
from lockgate.app.progress import Quiet
from lockgate.backends.linear import load
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.inference import Row
from lockgate.errors import InvalidInput, LockgateError
from lockgate.evals.expand import Case, Expansion
from lockgate.evals.gate.ruling import Ruling
from lockgate.ports import Task

_WEIGHTS = "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One classifier: what its labels rest on."""

    model: str
    rows: int
    shares: Sequence[tuple[str, float]]
    """Features by their share of all weight, the heaviest first."""
    ruling: Ruling | None
    """On what is forbidden; None where nothing is."""


async def explain(
    loaded: Loaded,
    environment: Environment,
    task: Task,
    *,
    suite: str,
    forbidden: Sequence[str],
    limit: float,
) -> Sequence[Explanation]:
    """Run a suite's cases on a task's models, and say what its classifiers rest on.

    Raises:
        InvalidInput: no linear classifier was asked.
        NotFound: there is no such suite.

    """
    found = find_suite(loaded, suite)
    seen: Rows = {}
    async with open_engine(loaded, environment) as engine:
        answering = watched(engine.answering, seen)
        for case in Expansion(found.suite, found.files):
            if not isinstance(case, Case):
                continue
            call = new_call(loaded, task.spec, input_of(task, case), engine="model")
            try:
                await answering.answer(call, Quiet())
            except LockgateError:
                continue  # what had no answer was looked at before, or not at all
    if not seen:
        raise InvalidInput(
            f"no linear classifier was asked by `{task.spec.name}` over `{found.shown}`",
            hint="explained are classifiers such as that of `release-notes`",
        )
    models = model_store(loaded, environment)
    return [
        _explained(model, models.files(model, digest)[_WEIGHTS], rows, forbidden, limit)
        for (model, digest), rows in sorted(seen.items(), key=lambda item: item[0][0])
    ]


def _explained(
    model: str, weights: Path, rows: Sequence[Row], forbidden: Sequence[str], limit: float
) -> Explanation:
    total: defaultdict[str, float] = defaultdict(float)
    for attributed in attributions(load(weights), rows):
        for one in attributed:
            total[one.feature] += abs(one.weight)
    whole = sum(total.values()) or 1.0
    return Explanation(
        model=model,
        rows=len(rows),
        shares=sorted(
            ((name, weight / whole) for name, weight in total.items()),
            key=lambda one: (-one[1], one[0]),
        ),
        ruling=rule_on_features(weights, rows, forbidden, limit=limit) if forbidden else None,
    )
