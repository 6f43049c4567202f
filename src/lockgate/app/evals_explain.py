"""What the labels of a linear classifier rest on, and a gate on features that must not count.

The Shapley values of a linear head are exact: a token's weight for the label that won, times how
far its value is from its mean over the rows. Tokens are hashed, so a forbidden token that shares a
bucket with another one carries that one's weight, and is told.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lockgate.app.classified import MOST_ROWS
from lockgate.app.evals_part import Part
from lockgate.backends.linear import hashed, load
from lockgate.domain.inference import Row
from lockgate.errors import InvalidInput
from lockgate.evals.gate.rule import Rule
from lockgate.evals.gate.ruling import Ruling
from lockgate.statistics.explain import Attribution, linear_shapley, require_unweighed
from lockgate.statistics.gate import Direction, Gate, GateResult, undecided

if TYPE_CHECKING:
    from lockgate.backends.linear import Head

Weights = Callable[[str, str], Path]
"""From a model and its digest to the file of its weights."""
METRIC = "explain/forbidden-features"


def attributions(head: "Head", rows: Sequence[Row]) -> tuple[tuple[Attribution, ...], ...]:
    """Return, for each row, what each token of all rows adds to the label that won.

    A token that the row lacks counts, too: it takes away what it adds to the mean row. They sum to
    the label's score of the row less that of the mean row.

    Raises:
        InvalidInput: a row has no tokens.

    """
    if not all(row.tokens for row in rows):
        raise InvalidInput("a row has no tokens, so nothing explains its label")
    names = sorted({token for row in rows for token in row.tokens})
    place = {name: at for at, name in enumerate(names)}
    buckets, _ = hashed(names, head.weights.shape[1])
    table = np.zeros((len(rows), len(names)))
    for at, row in enumerate(rows):
        _, values = hashed(row.tokens, head.weights.shape[1])
        table[at, [place[token] for token in row.tokens]] = values
    weights = head.weights[:, buckets] * head.scales[:, None].astype(np.float64)
    means = table.mean(axis=0)
    won = [int(head.margins(row).argmax()) for row in rows]
    return tuple(
        linear_shapley(names, weights[best], table[at], means) for at, best in enumerate(won)
    )


def judge_features(rule: Rule, gate: Gate, part: Part, seed: int, weights: Weights) -> GateResult:
    """Judge the share of weight that a rule's forbidden features carry, over all classifiers.

    Raises:
        NotFound: a classifier's weights are not here.

    """
    assert rule.limit is not None
    rows: dict[tuple[str, str], list[Row]] = {}
    for seen in part.seen:
        for entry in seen.features:
            kept = rows.setdefault((str(entry["model"]), str(entry["digest"])), [])
            tokens = entry["tokens"]
            if isinstance(tokens, Sequence) and len(kept) < MOST_ROWS:
                kept.append(Row(tokens=tuple(str(token) for token in tokens)))
    if not rows:
        reason = f"`{gate.metric}`: no linear classifier was asked, so nothing shows what it weighs"
        return undecided(gate, 0, reason=reason)
    cases = [
        attributed
        for (model, digest), each in sorted(rows.items())
        for attributed in attributions(load(weights(model, digest)), each)
    ]
    return require_unweighed(gate, cases, rule.forbidden, limit=rule.limit, seed=seed)


def rule_on_features(
    weights: Path,
    rows: Sequence[Row],
    forbidden: Sequence[str],
    *,
    limit: float = 0.0,
    margin: float = 0.01,
    min_cases: int = 30,
) -> Ruling:
    """Judge the mean share of all weight that forbidden features carry.

    `forbidden` are tokens, or prefixes such as `author=*`. The weights are a linear head's file.

    Raises:
        Corrupt: the file is no linear head.
        InvalidInput: nothing is forbidden, or a row has no tokens.

    """
    gate = Gate(metric=METRIC, direction=Direction.LOWER, margin=margin, min_samples=min_cases)
    result = require_unweighed(
        gate, attributions(load(weights), rows), forbidden, limit=limit, seed=7
    )
    ends = result.interval
    return Ruling(
        name=METRIC,
        outcome=result.outcome,
        reason=result.reason,
        samples=result.samples,
        value=result.value,
        reference=result.reference,
        interval=(ends.lower, ends.upper) if ends else None,
        details=result.document,
    )
