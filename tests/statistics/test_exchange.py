import json
import math

import numpy as np
import pytest
from scipy import stats

from lockgate.errors import InvalidInput
from lockgate.statistics.exchange import ExchangeProcess


def nights(draw: np.random.Generator, *, moves: list[float], reference: int = 200) -> int | None:
    """Return the first night of an alarm at 5 %, from 1."""
    process = ExchangeProcess(draw.normal(0, 1, reference), seed=int(draw.integers(1 << 30)))
    for night, move in enumerate(moves, 1):
        process.add_night(draw.normal(move, 1, 30))
        if process.p_value <= 0.05:
            return night
    return None


def test_a_look_every_night_raises_no_more_alarms_than_one_look() -> None:
    draw = np.random.default_rng(1)
    trials = 150

    alarms = sum(nights(draw, moves=[0.0] * 12) is not None for _ in range(trials))

    assert alarms <= stats.binom.ppf(0.999, trials, 0.05)


def test_a_small_reference_raises_no_alarms_although_it_is_off() -> None:
    # A test against the reference alone would take its error for a drift, ever more surely.
    draw = np.random.default_rng(2)
    trials = 80

    alarms = sum(nights(draw, moves=[0.0] * 20, reference=10) is not None for _ in range(trials))

    assert alarms <= stats.binom.ppf(0.999, trials, 0.05)


def test_a_drift_is_found_within_days_after_a_long_calm_too() -> None:
    draw = np.random.default_rng(3)
    for calm in (0, 40):
        found = nights(draw, moves=[0.0] * calm + [1.0] * 6)
        assert found is not None
        assert found > calm


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_change_of_spread_is_found_too(scale: float) -> None:
    draw = np.random.default_rng(4)
    process = ExchangeProcess(draw.normal(0, 1, 300), seed=0)

    for _ in range(4):
        process.add_night(draw.normal(0, scale, 50))

    assert process.p_value < 1e-3


def test_the_wealth_has_mean_one_over_all_orders_of_the_values() -> None:
    # A martingale, whatever the values: all orders are equally likely while nothing drifts.
    draw = np.random.default_rng(5)
    values = np.array([0.0, 0.0, 1.0, 5.0, 9.0, 9.5])
    wealth = []
    for seed in range(4000):
        shuffled = draw.permutation(values)
        process = ExchangeProcess(shuffled[:3], seed=seed)
        process.add_night(shuffled[3:])
        wealth.append(math.exp(process.log_e_value))

    error = float(np.std(wealth)) / math.sqrt(len(wealth))
    assert abs(float(np.mean(wealth)) - 1) < 4 * error


def test_a_resumed_process_goes_on_as_if_it_had_not_stopped() -> None:
    draw = np.random.default_rng(6)
    whole = ExchangeProcess(draw.normal(0, 1, 50), seed=9)
    whole.add_night(draw.normal(0, 1, 20))
    again = ExchangeProcess.resumed(json.loads(json.dumps(whole.document)))

    tonight = draw.normal(0.5, 1, 20)
    for process in (whole, again):
        process.add_night(tonight)

    assert again.document == whole.document
    assert (again.seen, again.p_value) == (40, whole.p_value)


def test_overwhelming_evidence_does_not_overflow() -> None:
    process = ExchangeProcess(np.arange(100.0), seed=0)

    process.add_night(np.arange(3000.0) + 1000)

    assert 0 < process.p_value < 1e-50


def test_constant_values_and_empty_nights_are_no_evidence() -> None:
    process = ExchangeProcess([1.0] * 50, seed=1)
    for _ in range(5):
        process.add_night([1.0] * 50)
        process.add_night([])

    assert process.p_value > 0.05


def test_values_and_states_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 2"):
        ExchangeProcess([1.0], seed=0)
    with pytest.raises(InvalidInput, match="seed"):
        ExchangeProcess([1.0, 2.0], seed=-1)
    process = ExchangeProcess([1.0, 2.0], seed=0)
    with pytest.raises(InvalidInput, match="not finite"):
        process.add_night([math.nan])
    for fault in ({"wealth": [[1.0]]}, {"peak": 0.0}, {"values": ["a", "b"]}, {"seed": None}):
        with pytest.raises(InvalidInput):
            ExchangeProcess.resumed(process.document | fault)
