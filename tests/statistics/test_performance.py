import math

import numpy as np
import pytest
from scipy import stats

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.gate import Direction, Gate
from lockgate.statistics.performance import (
    compare_quantiles,
    compare_totals,
    require_quantile,
)
from lockgate.statistics.quantiles import least_samples, quantile_interval

LATENCY = Gate(metric="latency", direction=Direction.LOWER, margin=0.1)
DRAW = np.random.default_rng(4)
CASES = DRAW.lognormal(0, 0.6, 300)
BASE = CASES * DRAW.lognormal(0, 0.1, 300)
AGAIN = CASES * DRAW.lognormal(0, 0.1, 300)


@pytest.mark.parametrize("q", [0.05, 0.5, 0.9, 0.95])
@pytest.mark.parametrize("cases", [5, 40, 59, 60, 300])
def test_bounds_of_quantiles_are_scipys(q: float, cases: int) -> None:
    seen = quantile_interval(BASE[:cases], q, confidence=0.9)

    test = stats.quantile_test(BASE[:cases], p=q, alternative="two-sided")
    ends = test.confidence_interval(0.9)
    expected = (
        -math.inf if math.isnan(ends.low) else ends.low,
        math.inf if math.isnan(ends.high) else ends.high,
    )
    assert (seen.lower, seen.upper) == expected


def test_the_fewest_samples_for_a_quantile_bound_it_and_one_less_does_not() -> None:
    for q in (0.5, 0.9, 0.95, 0.05):
        least = least_samples(q, confidence=0.9)
        for samples, is_bound in ((least, True), (least - 1, False)):
            ends = quantile_interval(BASE[:samples], q, confidence=0.9)
            assert math.isfinite(ends.upper - ends.lower) is is_bound
    assert least_samples(0.95, confidence=0.9) == 59


def test_a_quantile_is_held_to_a_limit() -> None:
    p95 = float(np.quantile(BASE, 0.95))

    assert require_quantile(LATENCY, BASE, q=0.95, limit=p95 * 2).outcome is Outcome.PASS
    assert require_quantile(LATENCY, BASE, q=0.95, limit=p95 / 2).outcome is Outcome.FAIL
    near = require_quantile(LATENCY, BASE, q=0.95, limit=p95)
    assert near.outcome is Outcome.INCONCLUSIVE


def test_the_95th_percentile_of_58_values_is_not_judged() -> None:
    result = require_quantile(LATENCY, [0.001] * 58, q=0.95, limit=10)

    assert (result.outcome, result.more_samples) == (Outcome.INCONCLUSIVE, 1)


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_the_same_latencies_pass_and_slower_ones_fail(q: float) -> None:
    gate = Gate(metric="latency", direction=Direction.LOWER, margin=0.25)

    assert compare_quantiles(gate, AGAIN, BASE, q=q, seed=0).outcome is Outcome.PASS
    assert compare_quantiles(gate, AGAIN * 1.4, BASE, q=q, seed=0).outcome is Outcome.FAIL


def test_throughput_is_better_when_higher() -> None:
    gate = Gate(metric="tokens per second", margin=0.25)

    assert compare_quantiles(gate, AGAIN * 1.4, BASE, q=0.5, seed=0).outcome is Outcome.PASS
    assert compare_quantiles(gate, AGAIN / 1.4, BASE, q=0.5, seed=0).outcome is Outcome.FAIL


def test_comparing_case_by_case_cancels_what_the_cases_share() -> None:
    paired = compare_quantiles(LATENCY, AGAIN, BASE, q=0.5, seed=0)
    unpaired = compare_quantiles(LATENCY, AGAIN[:299], BASE, q=0.5, seed=0, paired=False)

    assert paired.interval is not None
    assert unpaired.interval is not None
    widths = [i.upper - i.lower for i in (paired.interval, unpaired.interval)]
    assert widths[0] < widths[1] / 2
    assert (paired.outcome, unpaired.outcome) == (Outcome.PASS, Outcome.INCONCLUSIVE)


def test_equal_runs_of_skewed_latencies_rarely_fail() -> None:
    draw = np.random.default_rng(9)
    trials, fails = 150, 0
    for seed in range(trials):
        cases = draw.lognormal(0, 0.6, 100)
        runs = [cases * draw.lognormal(0, 0.1, 100) for _ in range(2)]
        fails += compare_quantiles(LATENCY, *runs, q=0.95, seed=seed).outcome is Outcome.FAIL

    assert fails <= stats.binom.ppf(0.999, trials, 0.05)


def test_costs_are_compared_by_their_totals() -> None:
    gate = Gate(metric="cost", direction=Direction.LOWER, margin=0.05)

    assert compare_totals(gate, AGAIN, BASE, seed=0).outcome is Outcome.PASS
    result = compare_totals(gate, AGAIN * 1.2, BASE, seed=0)
    assert result.outcome is Outcome.FAIL
    assert result.value == pytest.approx(1.2 * AGAIN.sum() / BASE.sum())


def test_a_free_baseline_has_no_ratio() -> None:
    free, paid = [0.0] * 100, [1.0] * 100
    for candidate in (free, paid):
        for result in (
            compare_totals(LATENCY, candidate, free, seed=0),
            compare_quantiles(LATENCY, candidate, free, q=0.5, seed=0),
        ):
            assert result.outcome is Outcome.INCONCLUSIVE
            assert "is 0 in" in result.reason or "0 in the baseline" in result.reason


def test_a_baseline_that_is_mostly_free_has_no_ratio_either() -> None:
    nearly = [0.0] * 99 + [1.0]

    assert compare_totals(LATENCY, nearly, nearly, seed=0).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_a_clock_that_went_backwards_is_refused(value: float) -> None:
    bad = [1.0] * 99 + [value]
    with pytest.raises(InvalidInput):
        require_quantile(LATENCY, bad, q=0.5, limit=1)
    with pytest.raises(InvalidInput):
        compare_quantiles(LATENCY, bad, bad, q=0.5, seed=0)
    with pytest.raises(InvalidInput):
        compare_totals(LATENCY, bad, bad, seed=0)


def test_no_measurements_are_inconclusive_and_other_cases_are_refused() -> None:
    assert require_quantile(LATENCY, [], q=0.5, limit=1).outcome is Outcome.INCONCLUSIVE
    assert compare_totals(LATENCY, [], [], seed=0).outcome is Outcome.INCONCLUSIVE
    for compare in (compare_totals, lambda *a, seed: compare_quantiles(*a, q=0.5, seed=seed)):
        with pytest.raises(InvalidInput, match="baseline 99"):
            compare(LATENCY, [1.0] * 100, [1.0] * 99, seed=0)
    with pytest.raises(InvalidInput, match="quantile"):
        require_quantile(LATENCY, [1.0], q=95, limit=1)
