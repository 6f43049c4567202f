"""The exact test of two rates on the same cases holds its level where the score does not."""

import itertools

import numpy as np
import pytest
from scipy import stats

from lockgate.domain.verdict import Outcome
from lockgate.statistics.gate import Direction, Gate
from lockgate.statistics.intervals import paired_score
from lockgate.statistics.quality import compare_rates
from lockgate.statistics.special import normal_tail
from lockgate.statistics.unconditional import exact_p_value


def chance_of(gains: int, losses: int, cases: int, *, gained: float, lost: float) -> float:
    rates = [gained, lost, 1 - gained - lost]
    return float(stats.multinomial.pmf([gains, losses, cases - gains - losses], cases, rates))


@pytest.mark.parametrize(("gains", "losses"), [(0, 0), (2, 1), (3, 0), (1, 5), (6, 4), (12, 0)])
def test_the_p_value_is_the_sum_over_all_that_speaks_as_clearly(gains: int, losses: int) -> None:
    cases, margin = 12, 0.1
    seen = paired_score(-margin, gains=gains, losses=losses, trials=cases)
    counts = [(g, b) for g, b in itertools.product(range(13), repeat=2) if g + b <= cases]
    as_clear = [
        (g, b)
        for g, b in counts
        if paired_score(-margin, gains=g, losses=b, trials=cases) >= seen - 1e-9
    ]
    ends = stats.binomtest(gains + losses, cases).proportion_ci(0.9999, "exact")
    shares = np.linspace(max(margin, ends.low), max(margin, ends.high), 400)
    worst = max(
        sum(
            chance_of(g, b, cases, gained=(share - margin) / 2, lost=(share + margin) / 2)
            for g, b in as_clear
        )
        for share in shares
    )

    p_value = exact_p_value(gains, losses, cases=cases, margin=margin)

    assert p_value == pytest.approx(min(1.0, worst + 1e-4), rel=2e-3)


@pytest.mark.parametrize("discordance", [0.1, 0.12, 0.15])
def test_of_what_is_worse_by_the_margin_at_most_one_in_20_passes_exactly(
    discordance: float,
) -> None:
    cases, margin = 100, 0.1
    lost, gained = (discordance + margin) / 2, (discordance - margin) / 2
    by_score = by_sum = 0.0
    for losses in range(30):
        for gains in range(25):
            score = paired_score(-margin, gains=gains, losses=losses, trials=cases)
            if normal_tail(score) > 0.06:
                continue
            chance = chance_of(gains, losses, cases, gained=gained, lost=lost)
            by_score += chance * (normal_tail(score) <= 0.05)
            if chance > 1e-7:
                p_value = exact_p_value(gains, losses, cases=cases, margin=margin)
                by_sum += chance * (p_value <= 0.05)

    assert 0.02 < by_sum <= 0.05
    assert by_score > 0.05 or discordance > margin


def test_an_exact_test_at_many_cases_agrees_with_the_score() -> None:
    score = paired_score(-0.03, gains=300, losses=520, trials=8_000)

    p_value = exact_p_value(300, 520, cases=8_000, margin=0.03)

    assert p_value == pytest.approx(normal_tail(score) + 1e-4, rel=0.05)


def test_more_gains_never_make_a_pass_less_sure() -> None:
    values = [exact_p_value(gains, 8, cases=200, margin=0.05) for gains in range(0, 20, 2)]

    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("direction", Direction)
def test_a_pass_that_only_the_score_gives_is_inconclusive(direction: Direction) -> None:
    # 5 losses and no gain in 100: the score's p is 0.047, the exact one 0.058.
    better, worse = np.ones(100), np.ones(100)
    worse[:5] = 0
    runs = (worse, better) if direction is Direction.HIGHER else (better, worse)
    assert normal_tail(paired_score(-0.1, gains=0, losses=5, trials=100)) < 0.05

    result = compare_rates(
        Gate(metric="pass rate", margin=0.1, direction=direction, family=9), *runs
    )

    assert exact_p_value(0, 5, cases=100, margin=0.1) > 0.05
    assert result.outcome is Outcome.INCONCLUSIVE
