import random

import pytest

from lockgate.traffic.breaker import Breaker, BreakerSettings, BreakerState
from traffic.clock import Clock


def tripped(clock: Clock, settings: BreakerSettings | None = None) -> Breaker:
    breaker = Breaker(settings or BreakerSettings(), clock=clock)
    for _ in range(10):
        breaker.record(ok=False, seconds=0.0)
    assert breaker.state is BreakerState.OPEN
    return breaker


@pytest.mark.parametrize(("per_s", "within_s"), [(20, 2.0), (100, 1.0), (1000, 1.0)])
@pytest.mark.parametrize("seed", range(10))
def test_it_opens_within_a_second_when_half_the_calls_begin_to_fail(
    per_s: int, within_s: float, seed: int
) -> None:
    clock, source = Clock(), random.Random(seed)  # noqa: S311  a seeded simulation
    breaker = Breaker(BreakerSettings(), clock=clock)
    for _ in range(10 * per_s):
        breaker.record(ok=True, seconds=0.0)
        clock.now += 1 / per_s
    began = clock.now
    while breaker.allow():
        breaker.record(ok=source.random() < 0.5, seconds=0.0)
        clock.now += 1 / per_s
        assert clock.now - began <= within_s


def test_a_tenth_of_failures_leaves_it_closed() -> None:
    clock, source = Clock(), random.Random(1)  # noqa: S311  a seeded simulation
    breaker = Breaker(BreakerSettings(), clock=clock)
    for _ in range(60_000):
        assert breaker.allow()
        breaker.record(ok=source.random() < 0.9, seconds=0.0)
        clock.now += 0.01


def test_few_calls_say_nothing() -> None:
    breaker = Breaker(BreakerSettings(), clock=Clock())
    for _ in range(9):
        breaker.record(ok=False, seconds=0.0)
    assert breaker.allow()


def test_failures_that_left_the_window_do_not_count() -> None:
    clock = Clock()
    breaker = Breaker(BreakerSettings(), clock=clock)
    for _ in range(40):
        breaker.record(ok=False, seconds=0.0)
        clock.now += 0.5
    assert breaker.allow()


def test_slow_calls_open_it_too() -> None:
    breaker = Breaker(BreakerSettings(slow_s=1.0), clock=Clock())
    for _ in range(10):
        breaker.record(ok=True, seconds=1.5)
    assert not breaker.allow()


def test_it_recovers_within_five_seconds_of_the_upstream_however_long_that_was_down() -> None:
    clock = Clock()
    breaker = tripped(clock)
    while clock.now < 1060:
        clock.now += 0.01
        if breaker.allow():
            breaker.record(ok=False, seconds=0.005)
    while breaker.state is not BreakerState.CLOSED:
        clock.now += 0.01
        if breaker.allow():
            breaker.record(ok=True, seconds=0.005)
        assert clock.now <= 1065


def test_while_open_it_says_when_to_come_back() -> None:
    clock = Clock()
    breaker = tripped(clock)
    clock.now += 0.4
    assert breaker.retry_after_s == pytest.approx(0.6)
    clock.now += 0.6
    assert breaker.retry_after_s == 0
    assert breaker.allow()


def test_half_open_lets_no_more_than_its_probes_through_at_a_time() -> None:
    clock = Clock()
    breaker = tripped(clock)
    clock.now += 1
    assert [breaker.allow() for _ in range(5)] == [True, True, True, False, False]
    clock.now += 0.1
    breaker.record(ok=True, seconds=0.1)
    assert breaker.allow()


def test_one_probe_that_fails_opens_it_again_for_longer() -> None:
    clock = Clock()
    breaker = tripped(clock)
    clock.now += 1
    assert breaker.allow()
    breaker.record(ok=False, seconds=0.0)
    assert breaker.retry_after_s == pytest.approx(2.0)


def test_a_call_from_before_the_pause_is_no_probe() -> None:
    clock = Clock()
    breaker = tripped(clock)
    clock.now += 1
    breaker.allow()
    for _ in range(3):
        breaker.record(ok=True, seconds=5.0)
    assert breaker.state is BreakerState.HALF_OPEN


def test_a_cancelled_probe_gives_its_place_back_and_a_lost_one_too_in_the_end() -> None:
    clock = Clock()
    breaker = tripped(clock)
    clock.now += 1
    assert [breaker.allow() for _ in range(3)] == [True] * 3
    breaker.forget()
    assert breaker.allow()
    assert not breaker.allow()
    clock.now += 60
    assert breaker.allow()


@pytest.mark.parametrize(
    "wrong",
    [{"failure_rate": 0.0}, {"slow_rate": 1.1}, {"least_calls": 0}, {"longest_open_s": 0.5}],
)
def test_settings_that_make_no_breaker_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not a breaker"):
        BreakerSettings(**wrong)  # type: ignore[arg-type]
