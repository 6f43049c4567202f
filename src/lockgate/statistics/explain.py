"""What an answer rests on: Shapley values of linear models, occlusion of text, forbidden features.

Lundberg and Lee 2017, "A unified approach to interpreting model predictions", NIPS 30, corollary 1
(a linear model of independent features has the exact Shapley values w (x - E x)); Štrumbelj and
Kononenko 2014, "Explaining prediction models and individual predictions with feature
contributions", Knowledge and Information Systems 41, 647-665; Zeiler and Fergus 2014, "Visualizing
and understanding convolutional networks", ECCV (occlusion).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lockgate.errors import InvalidInput
from lockgate.statistics.gate import Direction, Gate, GateResult
from lockgate.statistics.quality import require_mean
from lockgate.statistics.samples import Array, Numbers, numbers

MAX_PARTS: Final = 5_000
"""Each part costs one more scoring of the whole text."""

Scorer = Callable[[Sequence[str]], Sequence[float]]
"""Scores several texts at once, so that a model may batch them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """How much of a score is owed to one feature, or one part of a text."""

    feature: str
    weight: float
    """In the score's unit; negative where the feature lowers the score."""


def linear_shapley(
    names: Sequence[str], weights: Numbers, row: Numbers, background: Numbers
) -> tuple[Attribution, ...]:
    """Return the exact Shapley values of one score of a linear model, before any softmax.

    They sum to the score of `row` less that of `background`, the features' means over a reference
    dataset. Exact where features are independent; of correlated ones the model's own use is shown.

    Raises:
        InvalidInput: the lengths differ, or a number is not finite.

    """
    columns = [
        numbers(values, name)
        for name, values in (("weights", weights), ("row", row), ("background", background))
    ]
    sizes = {len(names), *(column.size for column in columns)}
    if len(sizes) > 1:
        raise InvalidInput(
            f"{len(names)} names, {columns[0].size} weights, {columns[1].size} values and "
            f"{columns[2].size} means are not of the same features"
        )
    owed: Array = columns[0] * (columns[1] - columns[2])
    return tuple(
        Attribution(feature=name, weight=float(weight))
        for name, weight in zip(names, owed, strict=True)
    )


def occlusion(parts: Sequence[str], score: Scorer, *, joiner: str = " ") -> tuple[Attribution, ...]:
    """Return how much the score of a text falls when each of its parts is left out.

    The parts are the caller's: words, lines, or named fields. They do not sum to the score.

    Raises:
        InvalidInput: there is no part or more than 5,000, or a score is missing or not finite.

    """
    if not 1 <= len(parts) <= MAX_PARTS:
        raise InvalidInput(
            f"`{len(parts)}` parts are not between 1 and {MAX_PARTS}",
            hint="leave out lines or paragraphs instead of words",
        )
    texts = [joiner.join(parts)]
    texts += [joiner.join([*parts[:i], *parts[i + 1 :]]) for i in range(len(parts))]
    scores = numbers(score(texts), "scores")
    if scores.size != len(texts):
        raise InvalidInput(f"`{len(texts)}` texts were scored, `{scores.size}` scores came back")
    return tuple(
        Attribution(feature=part, weight=float(scores[0] - without))
        for part, without in zip(parts, scores[1:], strict=True)
    )


def is_forbidden(feature: str, forbidden: Sequence[str]) -> bool:
    """Say whether a feature is listed, by its name or by a prefix that ends in `*`."""
    return any(
        feature.startswith(entry[:-1]) if entry.endswith("*") else feature == entry
        for entry in forbidden
    )


def forbidden_share(attributions: Sequence[Attribution], forbidden: Sequence[str]) -> float:
    """Return the share of all weight, of either sign, that forbidden features carry.

    Raises:
        InvalidInput: a weight is NaN or infinite.

    """
    sizes = np.abs(numbers([owed.weight for owed in attributions], "attributions", least=0))
    total = math.fsum(sizes)
    if total == 0:
        return 0.0
    carried = (
        size
        for owed, size in zip(attributions, sizes, strict=True)
        if is_forbidden(owed.feature, forbidden)
    )
    return min(1.0, math.fsum(carried) / total)


def forbidden_weights(
    names: Sequence[str], weights: Numbers, forbidden: Sequence[str], *, tolerance: float = 0.0
) -> tuple[Attribution, ...]:
    """Return the forbidden features that a linear model gives weight at all, heaviest first.

    Raises:
        InvalidInput: the lengths differ, or a weight is not finite.

    """
    row = numbers(weights, "weights")
    if len(names) != row.size:
        raise InvalidInput(f"`{len(names)}` names, and `{row.size}` weights")
    found = [
        Attribution(feature=name, weight=float(weight))
        for name, weight in zip(names, row, strict=True)
        if abs(weight) > tolerance and is_forbidden(name, forbidden)
    ]
    return tuple(sorted(found, key=lambda owed: (-abs(owed.weight), owed.feature)))


def require_unweighed(
    gate: Gate,
    cases: Sequence[Sequence[Attribution]],
    forbidden: Sequence[str],
    *,
    limit: float,
    seed: int,
) -> GateResult:
    """Judge the mean share of weight that forbidden features carry, over cases.

    Raises:
        InvalidInput: nothing is forbidden, a weight is not finite, or the gate wants more.

    """
    if not forbidden:
        raise InvalidInput(
            f"`{gate.metric}` forbids no feature, so nothing could fail it",
            hint='list names, or prefixes such as "author=*"',
        )
    if gate.direction is not Direction.LOWER:
        raise InvalidInput(
            f"`{gate.metric}` is a share of forbidden weight, and the gate's direction is "
            f"`{gate.direction}`",
            hint='give it the direction "lower"',
        )
    shares = [forbidden_share(case, forbidden) for case in cases]
    return require_mean(gate, shares, limit=limit, seed=seed)
