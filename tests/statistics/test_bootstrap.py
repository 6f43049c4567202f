import numpy as np
import pytest
from scipy import stats

from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import (
    Method,
    Places,
    bootstrap,
    bootstrap_mean,
    paired_difference,
)

SKEWED = np.random.default_rng(5).exponential(2.0, 80)


@pytest.mark.parametrize(
    ("method", "theirs"), [(Method.PERCENTILE, "percentile"), (Method.BCA, "BCa")]
)
def test_intervals_of_a_mean_are_scipys_within_the_noise_of_resampling(
    method: Method, theirs: str
) -> None:
    seen = bootstrap_mean(SKEWED, seed=1, confidence=0.9, method=method, resamples=40_000)

    expected = stats.bootstrap(
        (SKEWED,), np.mean, confidence_level=0.9, n_resamples=40_000, method=theirs, rng=2
    ).confidence_interval
    assert seen.lower == pytest.approx(expected.low, abs=0.01)
    assert seen.upper == pytest.approx(expected.high, abs=0.01)


def test_intervals_of_any_statistic_are_scipys_within_the_noise_of_resampling() -> None:
    def spread(places: Places) -> float:
        return float(np.std(SKEWED[places]))

    seen = bootstrap(spread, cases=SKEWED.size, seed=3, confidence=0.9, resamples=9_000)

    expected = stats.bootstrap(
        (SKEWED,), np.std, confidence_level=0.9, n_resamples=9_000, method="BCa", rng=4
    ).confidence_interval
    assert (seen.lower, seen.upper) == pytest.approx((expected.low, expected.high), abs=0.06)


def test_scores_with_few_values_have_the_interval_of_plain_resampling() -> None:
    coins = np.repeat([0.0, 1.0], [300, 700])

    seen = bootstrap_mean(coins, seed=1, method=Method.PERCENTILE, resamples=40_000)

    low, high = stats.binom.ppf([0.025, 0.975], 1000, 0.7) / 1000
    assert (seen.lower, seen.upper) == pytest.approx((low, high), abs=0.0011)


def test_the_seed_alone_decides_an_interval() -> None:
    first = bootstrap_mean(SKEWED, seed=7)

    assert first == bootstrap_mean(SKEWED, seed=7)
    assert first != bootstrap_mean(SKEWED, seed=8)


def test_a_paired_interval_ignores_what_both_have_in_common() -> None:
    noise = np.random.default_rng(0).normal(0, 100, 200)
    better = np.random.default_rng(1).normal(1, 0.5, 200)

    seen = paired_difference(noise + better, noise, seed=1)

    assert 0.85 < seen.lower < 1 < seen.upper < 1.1


def test_constant_scores_have_an_interval_of_one_point() -> None:
    seen = bootstrap_mean([0.5] * 20, seed=0)

    assert (seen.lower, seen.upper) == (0.5, 0.5)


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_scores_that_cannot_be_resampled_are_refused(scores: list[float]) -> None:
    with pytest.raises(InvalidInput, match="`scores`"):
        bootstrap_mean(scores, seed=0)


def test_rows_of_different_lengths_are_refused_with_both_lengths() -> None:
    with pytest.raises(InvalidInput, match=r"3 cases, the baseline 2"):
        paired_difference([1, 2, 3], [1, 2], seed=0)


def test_a_statistic_that_is_mostly_undefined_is_refused() -> None:
    with pytest.raises(InvalidInput, match="undefined on 50 of 50"):
        bootstrap(lambda _: float("nan"), cases=9, seed=0, resamples=50)


def test_negative_seeds_single_cases_and_no_resamples_are_refused() -> None:
    with pytest.raises(InvalidInput, match="seed"):
        bootstrap_mean(SKEWED, seed=-1)
    with pytest.raises(InvalidInput, match="resamples"):
        bootstrap_mean(SKEWED, seed=1, resamples=0)
    with pytest.raises(InvalidInput, match="cases"):
        bootstrap(lambda _: 0.0, cases=1, seed=0)
