import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lockgate.errors import InvalidInput
from lockgate.statistics.paired import Alternative
from lockgate.statistics.sequential import MeanProcess, log_wealth_path

GREATER, LESS = Alternative.GREATER, Alternative.LESS
ALPHA = 0.05


@given(
    st.floats(0.05, 0.95),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=2, max_size=5),
    st.sampled_from([GREATER, LESS]),
)
def test_no_law_with_the_claimed_mean_lets_the_wealth_grow_on_average(
    null: float, law: list[tuple[float, float]], side: Alternative
) -> None:
    values = np.array([value for value, _ in law])
    weights = np.array([weight for _, weight in law])
    # Moved so that the law's mean is the null's, within the range.
    mean = float(values @ weights / weights.sum())
    values = values * null / mean if mean > null else 1 - (1 - values) * (1 - null) / (1 - mean)

    wealth = [math.exp(log_wealth_path([v], null, side)[-1]) for v in np.clip(values, 0, 1)]

    assert float(np.dot(wealth, weights) / weights.sum()) <= 1 + 1e-9


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.03])
def test_a_look_after_every_case_keeps_the_level_under_the_claim(rate: float) -> None:
    draw = np.random.default_rng(3)
    trials = 400

    alarms = sum(
        log_wealth_path((draw.random(500) < rate).astype(float), rate, LESS).max()
        >= -math.log(ALPHA)
        for _ in range(trials)
    )

    # More than this has probability 1e-3 if the level is kept.
    assert alarms <= stats.binom.ppf(0.999, trials, ALPHA)


def test_plain_testing_after_every_case_does_not_keep_the_level() -> None:
    # What the process is for: the same looks with an exact binomial test.
    draw = np.random.default_rng(3)
    trials, cases = 200, np.arange(1, 501)

    alarms = sum(
        bool((stats.binom.cdf(np.cumsum(draw.random(500) < 0.5), cases, 0.5) <= ALPHA).any())
        for _ in range(trials)
    )

    assert alarms > 3 * ALPHA * trials


def wealth_by_hand(values: Sequence[float], null: float) -> float:
    stakes = {0.005: 1, 0.01: 1, 0.02: 1, 0.05: 1, 0.1: 1, 0.25: 12, 0.5: 12, 0.9: 1}
    return sum(
        weight * math.prod(1 - c + c * x / null for x in values) / 30
        for c, weight in stakes.items()
    )


def test_wealth_is_the_mean_over_stakes_of_the_products_of_the_odds() -> None:
    values = [0.2, 0.9, 1.0, 0.4]
    process = MeanProcess()
    process.add_all(values)

    seen = process.log_e_value(0.3, GREATER)

    assert math.exp(seen) == pytest.approx(wealth_by_hand(values, 0.3))
    assert log_wealth_path(values, 0.3, GREATER)[-1] == pytest.approx(seen)


def test_betting_on_small_values_mirrors_betting_on_large_ones() -> None:
    values = np.array([0.2, 0.9, 1.0, 0.4])

    assert log_wealth_path(values, 0.3, LESS) == pytest.approx(
        log_wealth_path(1 - values, 0.7, GREATER)
    )


def test_the_wealth_of_a_coin_grows_no_faster_than_kellys() -> None:
    # Kelly's rate, the relative entropy, bounds every bettor: 0.8 against 0.5.
    coins = np.repeat([1.0, 0.0], [800, 200])
    rate = stats.entropy([0.8, 0.2], [0.5, 0.5])

    seen = log_wealth_path(coins, 0.5, GREATER)[-1]

    assert 1000 * rate - 10 < seen < 1000 * rate


def test_the_interval_is_where_the_wealth_never_reached_its_price() -> None:
    draw = np.random.default_rng(8)
    values = draw.beta(8, 2, 300)
    process = MeanProcess(confidence=0.9)
    for value in values:
        process.add(value)

    seen = process.interval

    for end, side in ((seen.lower, GREATER), (seen.upper, LESS)):
        inward = 1e-6 if side is GREATER else -1e-6
        path = log_wealth_path(values, end, side).max()
        assert path >= -math.log(0.05) - 1e-6
        assert log_wealth_path(values, end + inward, side).max() < -math.log(0.05)
    assert seen.lower < 0.8 < seen.upper
    assert process.mean == pytest.approx(values.mean())


def test_intervals_only_shrink_and_cover_at_all_times_together() -> None:
    draw = np.random.default_rng(5)
    missed = 0
    for _ in range(40):
        process, before = MeanProcess(low=-1, high=1, confidence=0.9), (-1.0, 1.0)
        for value in draw.choice([-1.0, 0.0, 1.0], 120, p=[0.2, 0.5, 0.3]):
            process.add(value)
            now = process.interval.lower, process.interval.upper
            assert now[0] >= before[0]
            assert now[1] <= before[1]
            before = now
        missed += not before[0] <= 0.1 <= before[1]

    assert missed <= stats.binom.ppf(0.999, 40, 0.1)


def test_cases_that_contradict_any_one_mean_leave_an_empty_interval() -> None:
    process = MeanProcess()
    process.add_all([1.0] * 200)
    process.add_all([0.0] * 20_000)

    assert process.interval.lower > process.interval.upper
    assert MeanProcess.resumed(process.document).interval == process.interval


def test_a_process_resumes_where_it_stopped() -> None:
    process = MeanProcess(low=-1, high=1, confidence=0.9)
    process.add_all([1, 0, 0, -1, 1, 1])

    again = MeanProcess.resumed(json.loads(json.dumps(process.document)))
    for part in (process, again):
        part.add(1)

    assert again.document == process.document
    assert again.cases == 7


def test_before_the_first_case_nothing_is_known() -> None:
    process = MeanProcess()

    assert (process.interval.lower, process.interval.upper) == (0, 1)
    assert math.isnan(process.mean)
    assert process.log_e_value(0.5, LESS) == 0


def test_a_mean_of_zero_is_refuted_by_one_positive_value() -> None:
    process = MeanProcess()
    process.add(0.5)

    assert process.interval.lower > 0
    assert process.log_e_value(0, GREATER) > 100


@pytest.mark.parametrize("value", [math.nan, 1.1, -0.1, math.inf])
def test_values_outside_the_range_are_refused(value: float) -> None:
    with pytest.raises(InvalidInput):
        MeanProcess().add(value)
    with pytest.raises(InvalidInput):
        log_wealth_path([value], 0.5, GREATER)
    with pytest.raises(InvalidInput):
        MeanProcess().log_e_value(value, GREATER)


def test_ranges_states_and_sides_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidInput, match="range"):
        MeanProcess(low=1, high=1)
    with pytest.raises(InvalidInput, match="state"):
        MeanProcess.resumed({"low": 0})
    with pytest.raises(InvalidInput, match="state"):
        MeanProcess.resumed(MeanProcess().document | {"ends": [0.9, 1.1]})
    with pytest.raises(InvalidInput):
        MeanProcess.resumed(MeanProcess().document | {"counts": [[2.0, 1]]})
    with pytest.raises(ValueError, match="one side"):
        log_wealth_path([1.0], 0.5, Alternative.DIFFERENT)
