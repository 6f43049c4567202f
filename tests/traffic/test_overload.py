import pytest

import overload
import virtual_time
from lockgate.traffic.concurrency import AdaptiveConcurrency, Concurrency, FixedConcurrency


@pytest.mark.parametrize(
    "concurrency", [FixedConcurrency(overload.WORKERS), AdaptiveConcurrency(tolerance=1.5)]
)
def test_at_three_times_the_capacity_what_matters_is_in_time_and_capacity_is_used(
    concurrency: Concurrency,
) -> None:
    tally = virtual_time.run(overload.overload(concurrency, 90, seed=2))
    assert tally.in_time["high"] / tally.asked["high"] >= 0.99
    served = sum(tally.good_tokens.values())
    assert served >= 0.9 * 90 * overload.CAPACITY
    assert tally.most_tokens <= overload.SETTINGS.most_tokens
    assert tally.most_waiting <= overload.SETTINGS.most_waiting
    assert tally.good_tokens["batch"] / served >= 0.09


@pytest.mark.parametrize("per_s", [50.0, 500.0])
@pytest.mark.parametrize("seed", range(3))
def test_an_upstream_that_fails_half_its_calls_is_left_alone_soon_and_taken_back_soon(
    per_s: float, seed: int
) -> None:
    found = virtual_time.run(overload.half_failing(per_s, seed))
    assert found.retries <= 0.1 * found.requests
    assert found.opened_after_s is not None
    assert found.opened_after_s <= 1
    assert found.closed_after_s is not None
    assert found.closed_after_s <= 5
