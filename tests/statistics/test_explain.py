import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.explain import (
    Attribution,
    forbidden_share,
    forbidden_weights,
    linear_shapley,
    occlusion,
    require_unweighed,
)
from lockgate.statistics.gate import Direction, Gate

DRAW = np.random.default_rng(1)
NAMES = ["path=src", "path=docs", "author=ann", "verb=fix", "size"]
WEIGHTS, ROW = DRAW.normal(0, 1, 5), DRAW.normal(0, 1, 5)
REFERENCE = DRAW.normal(0.5, 1, (40, 5))
GATE = Gate(metric="forbidden weight", direction=Direction.LOWER, margin=0.02)


def shapley_by_definition(feature: int) -> float:
    """Sum over all coalitions; features outside one are drawn from the reference."""
    others = [i for i in range(5) if i != feature]

    def value(coalition: Sequence[int]) -> float:
        rows = REFERENCE.copy()
        rows[:, list(coalition)] = ROW[list(coalition)]
        return float((rows @ WEIGHTS).mean())

    return sum(
        math.factorial(size)
        * math.factorial(4 - size)
        / math.factorial(5)
        * (value([*some, feature]) - value(some))
        for size in range(5)
        for some in combinations(others, size)
    )


def test_shapley_values_of_a_linear_model_are_those_of_the_definition() -> None:
    seen = linear_shapley(NAMES, WEIGHTS, ROW, REFERENCE.mean(axis=0))

    assert [owed.feature for owed in seen] == NAMES
    assert [owed.weight for owed in seen] == pytest.approx(
        [shapley_by_definition(i) for i in range(5)]
    )
    apart = WEIGHTS @ ROW - (REFERENCE @ WEIGHTS).mean()
    assert sum(owed.weight for owed in seen) == pytest.approx(apart)


def count_fix(texts: Sequence[str]) -> list[float]:
    return [0.1 + 0.5 * text.split().count("fix") for text in texts]


def test_the_word_that_a_score_rests_on_is_the_one_whose_absence_lowers_it() -> None:
    seen = occlusion(["please", "fix", "the", "parser"], count_fix)

    assert [owed.weight for owed in seen] == pytest.approx([0, 0.5, 0, 0])
    assert seen[1].feature == "fix"


def test_a_text_of_one_part_is_compared_with_the_empty_text() -> None:
    assert occlusion(["fix"], count_fix)[0].weight == pytest.approx(0.5)


def owed(**weights: float) -> list[Attribution]:
    return [Attribution(feature=name, weight=weight) for name, weight in weights.items()]


def test_the_share_of_forbidden_features_counts_weight_of_either_sign() -> None:
    case = owed(author=-0.2, path_a=0.1, path_b=0.1, verb=0.6)

    assert forbidden_share(case, ["author"]) == pytest.approx(0.2)
    assert forbidden_share(case, ["author", "path_*"]) == pytest.approx(0.4)
    assert forbidden_share(case, ["path"]) == 0
    assert forbidden_share(owed(author=0.0), ["author"]) == 0


def test_a_linear_model_names_its_forbidden_features_heaviest_first() -> None:
    found = forbidden_weights(NAMES, [0.1, -0.4, 0.0, 0.9, 0.2], ["path=*", "author=*"])

    assert [one.feature for one in found] == ["path=docs", "path=src"]
    assert forbidden_weights(NAMES, [0.1, -0.4, 0, 0, 0], ["path=*"], tolerance=0.5) == ()


@pytest.mark.parametrize(
    ("share", "cases", "outcome"),
    [(0.3, 200, Outcome.FAIL), (0.0, 200, Outcome.PASS), (0.0, 40, Outcome.INCONCLUSIVE)],
)
def test_a_forbidden_feature_that_carries_weight_fails_its_gate(
    share: float, cases: int, outcome: Outcome
) -> None:
    rows = [owed(author=share * (1 + i % 2 / 10), verb=1 - share) for i in range(cases)]

    assert require_unweighed(GATE, rows, ["author"], limit=0, seed=0).outcome is outcome


def test_attributions_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidInput, match="5 names, 5 weights, 4 values"):
        linear_shapley(NAMES, WEIGHTS, ROW[:4], ROW)
    with pytest.raises(InvalidInput, match="not finite"):
        linear_shapley(NAMES, WEIGHTS, ROW * np.nan, ROW)
    with pytest.raises(InvalidInput):
        forbidden_weights(NAMES, [1.0], ["size"])
    with pytest.raises(InvalidInput, match="forbids no feature"):
        require_unweighed(GATE, [], [], limit=0, seed=0)
    with pytest.raises(InvalidInput, match="direction"):
        require_unweighed(Gate(metric="weight"), [], ["a"], limit=0, seed=0)
    with pytest.raises(InvalidInput, match="not finite"):
        forbidden_share(owed(a=math.nan), ["a"])


def test_scorers_that_answer_nonsense_are_refused() -> None:
    for answer in ([1.0], [math.nan, 1.0], []):
        with pytest.raises(InvalidInput):
            occlusion(["word"], lambda _, a=answer: a)  # type: ignore[misc]
    for parts in ([], ["word"] * 5001):
        with pytest.raises(InvalidInput, match="parts"):
            occlusion(parts, count_fix)
