import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.traffic.pace import Pace


def test_who_knows_nothing_refuses_nothing() -> None:
    assert Pace().surely_s(10**6) == 0
    assert Pace().mean == 0


def test_constant_and_slope_are_found() -> None:
    pace = Pace()
    for cost in (10, 500, 100, 1000) * 50:
        pace.completed(cost, 0.5 + 0.01 * cost)
    assert pace.surely_s(2000) == pytest.approx(20.5, rel=0.01)
    assert pace.surely_s(1) == pytest.approx(0.51, abs=0.05)


def test_what_became_slower_is_learnt_within_some_hundred_requests() -> None:
    pace = Pace()
    for n in range(500):
        pace.completed(100 + n % 7, 1.0)
    for n in range(200):
        pace.completed(100 + n % 7, 3.0)
    assert 2.9 < pace.surely_s(100) < 4.0


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 10**4)), min_size=1))
def test_no_estimate_is_negative_and_none_falls_with_the_cost(
    done: list[tuple[int, float]],
) -> None:
    pace = Pace()
    for cost, seconds in done:
        pace.completed(cost, seconds)
    estimates = [pace.surely_s(cost) for cost in (1, 10, 1000, 10**6)]
    assert estimates == sorted(estimates)
    assert estimates[0] >= -1e-6 * max(seconds for _, seconds in done)
