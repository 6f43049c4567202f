import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from lockgate.errors import InvalidInput
from lockgate.statistics.intervals import paired_rates
from lockgate.statistics.paired import (
    Alternative,
    discordance,
    holm,
    mcnemar,
    non_inferior_rates,
    non_inferior_scores,
    sign_flips,
    wilcoxon,
)
from lockgate.statistics.ranks import midranks

DRAW = np.random.default_rng(11)
BASE = DRAW.normal(0, 1, 40)
SHIFTED = BASE + DRAW.normal(0.2, 0.6, 40)
ROUNDED = (np.round(SHIFTED, 1), np.round(BASE, 1))
THEIRS = {
    Alternative.GREATER: "greater",
    Alternative.LESS: "less",
    Alternative.DIFFERENT: "two-sided",
}
COUNTS = [(0, 1), (3, 9), (9, 3), (5, 5), (0, 30), (121, 59), (500, 501)]


@pytest.mark.parametrize(("gains", "losses"), COUNTS)
def test_exact_mcnemar_is_that_of_statsmodels_and_scipy(gains: int, losses: int) -> None:
    table = [[100, gains], [losses, 50]]
    assert mcnemar(gains, losses) == pytest.approx(their_mcnemar(table, exact=True).pvalue)
    for side, name in THEIRS.items():
        expected = stats.binomtest(gains, gains + losses, 0.5, alternative=name).pvalue
        assert mcnemar(gains, losses, alternative=side) == pytest.approx(expected)


@pytest.mark.parametrize(("gains", "losses"), COUNTS)
def test_the_mid_p_value_takes_half_of_what_was_seen(gains: int, losses: int) -> None:
    law = stats.binom(gains + losses, 0.5)

    seen = mcnemar(gains, losses, alternative=Alternative.LESS, mid_p=True)

    assert seen == pytest.approx(law.sf(losses) + law.pmf(losses) / 2)


def test_runs_that_never_differ_are_no_evidence() -> None:
    same = [1.0, 0.0, 1.0]
    assert mcnemar(0, 0) == 1
    assert wilcoxon(same, same).p_value == 1
    assert sign_flips(same, same, seed=0).p_value == 1


def test_gains_and_losses_are_counted_case_by_case() -> None:
    seen = discordance([1, 1, 0, 0, 1], [1, 0, 1, 0, 0])

    assert (seen.gains, seen.losses, seen.cases, seen.difference) == (2, 1, 5, 0.2)


@pytest.mark.parametrize("side", list(Alternative))
def test_signed_ranks_are_scipys_exact_and_normal(side: Alternative) -> None:
    exact = stats.wilcoxon(SHIFTED, BASE, alternative=THEIRS[side], method="exact")
    seen = wilcoxon(SHIFTED, BASE, alternative=side)
    assert seen.method == "wilcoxon-exact"
    assert seen.p_value == pytest.approx(exact.pvalue)

    tied = stats.wilcoxon(*ROUNDED, alternative=THEIRS[side], method="asymptotic")
    seen = wilcoxon(*ROUNDED, alternative=side)
    assert seen.method == "wilcoxon-normal"
    assert seen.p_value == pytest.approx(tied.pvalue)


@pytest.mark.parametrize("side", list(Alternative))
@pytest.mark.parametrize(("cases", "tolerance"), [(12, 1e-12), (40, 0.015)])
def test_swaps_are_scipys_permutation_test(side: Alternative, cases: int, tolerance: float) -> None:
    seen = sign_flips(SHIFTED[:cases], BASE[:cases], seed=1, alternative=side)

    expected = stats.permutation_test(
        (SHIFTED[:cases], BASE[:cases]),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
        alternative=THEIRS[side],
        rng=2,
    )
    assert seen.p_value == pytest.approx(expected.pvalue, abs=tolerance)


def test_random_swaps_never_give_a_p_value_of_zero() -> None:
    seen = sign_flips(BASE + 9, BASE, seed=0, flips=99, alternative=Alternative.GREATER)

    assert seen.p_value == 0.01


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 400), st.floats(0, 0.5))
def test_rates_are_not_inferior_just_when_the_margin_is_outside_the_interval(
    gains: int, losses: int, same: int, margin: float
) -> None:
    cases = gains + losses + same

    seen = non_inferior_rates(gains, losses, cases=cases, margin=margin)

    interval = paired_rates(gains=gains, losses=losses, trials=cases, confidence=0.9)
    if abs(interval.lower + margin) > 1e-6:
        assert (seen.p_value < 0.05) == (interval.lower > -margin)


def test_non_inferiority_of_scores_is_half_of_statsmodels_equivalence_test() -> None:
    seen = non_inferior_scores(SHIFTED, BASE, margin=0.1)

    _, lower, _ = ttost_paired(SHIFTED, BASE, -0.1, 99)
    assert (seen.statistic, seen.p_value) == pytest.approx((lower[0], lower[1]))


def test_scores_without_spread_give_no_t_statistic() -> None:
    with pytest.raises(InvalidInput, match="all 3 differences"):
        non_inferior_scores([1, 1, 1], [1, 1, 1], margin=0.1)
    with pytest.raises(InvalidInput, match="at least 2"):
        non_inferior_scores([1], [1], margin=0.1)


def test_many_tests_are_adjusted_as_in_statsmodels() -> None:
    raw = np.random.default_rng(3).uniform(0, 0.2, 12)

    assert holm(raw) == pytest.approx(multipletests(raw, method="holm")[1])
    assert holm([]) == []
    with pytest.raises(InvalidInput):
        holm([0.5, float("nan")])


def test_equal_values_share_their_ranks() -> None:
    row = np.array([3.0, 1.0, 3.0, 2.0, 3.0])

    assert midranks(row).tolist() == stats.rankdata(row).tolist()


@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [([], []), ([1, 0], [1]), ([1, float("nan")], [1, 1]), (["a"], [1]), ([[1]], [[1]])],
)
def test_runs_that_cannot_be_paired_are_refused(
    candidate: list[float], baseline: list[float]
) -> None:
    for test in (discordance, wilcoxon):
        with pytest.raises(InvalidInput):
            test(candidate, baseline)
    with pytest.raises(InvalidInput):
        sign_flips(candidate, baseline, seed=0)


def test_scores_between_0_and_1_are_not_counted_as_passes() -> None:
    with pytest.raises(InvalidInput, match="neither 0 nor 1"):
        discordance([0.5, 1], [1, 1])


def test_negative_counts_margins_and_swaps_are_refused() -> None:
    with pytest.raises(InvalidInput, match="gains"):
        mcnemar(-1, 2)
    with pytest.raises(InvalidInput, match="margin"):
        non_inferior_rates(1, 2, cases=9, margin=-0.1)
    with pytest.raises(InvalidInput, match="swaps"):
        sign_flips([1, 0], [0, 1], seed=0, flips=0)
