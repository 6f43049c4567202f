import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.traffic.bucket import Limit
from lockgate.traffic.rate_limits import Limits, LimitsOf, RateLimits
from traffic.clock import Clock

SMALL = Limits(requests=Limit(amount=60, burst=5), tokens=Limit(amount=6000, burst=1000))


def only(**limits: Limits) -> LimitsOf:
    return lambda subject: limits.get(subject.partition(":")[0])


def test_a_burst_passes_and_the_next_request_waits_for_the_rate() -> None:
    clock = Clock()
    limits = RateLimits(only(key=SMALL), clock=clock)
    assert all(limits.take(["key:a"], tokens=1).allowed for _ in range(5))
    refused = limits.take(["key:a"], tokens=1)
    assert not refused.allowed
    assert refused.retry_after_s == pytest.approx(1.0)


def test_another_key_has_its_own_limit() -> None:
    limits = RateLimits(only(key=SMALL), clock=Clock())
    for _ in range(6):
        limits.take(["key:a"], tokens=1)
    assert limits.take(["key:b"], tokens=1).allowed


def test_a_refusal_by_one_subject_takes_nothing_from_the_others() -> None:
    limits = RateLimits(only(key=SMALL, team=SMALL), clock=Clock())
    for _ in range(5):
        limits.take(["key:a"], tokens=1)
    before = limits.take(["team:t"], tokens=0).remaining
    assert not limits.take(["team:t", "key:a"], tokens=1).allowed
    assert limits.take(["team:t"], tokens=0).remaining == before - 1


def test_a_subject_without_limits_is_never_refused_and_sends_no_headers() -> None:
    taken = RateLimits(only(), clock=Clock()).take(["key:a"], tokens=10**9)
    assert taken.allowed
    assert taken.headers() == []


def test_a_request_larger_than_the_burst_is_refused_without_a_retry_after() -> None:
    taken = RateLimits(only(key=SMALL), clock=Clock()).take(["key:a"], tokens=1001)
    assert not taken.allowed
    assert math.isinf(taken.retry_after_s)
    assert b"retry-after" not in dict(taken.headers())


def test_headers_are_those_of_the_tightest_limit() -> None:
    wide = Limits(requests=Limit(amount=600, burst=600))
    limits = RateLimits(only(key=SMALL, route=wide), clock=Clock())
    headers = dict(limits.take(["route:chat", "key:a"], tokens=400).headers())
    assert headers == {
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-remaining-requests": b"4",
        b"x-ratelimit-reset-requests": b"1.000s",
        b"x-ratelimit-limit-tokens": b"6000",
        b"x-ratelimit-remaining-tokens": b"600",
        b"x-ratelimit-reset-tokens": b"4.000s",
    }


def test_the_retry_after_header_is_rounded_up() -> None:
    clock = Clock()
    limits = RateLimits(only(key=SMALL), clock=clock)
    limits.take(["key:a"], tokens=1000)
    assert dict(limits.take(["key:a"], tokens=150).headers())[b"retry-after"] == b"2"


def test_settling_gives_back_what_was_not_used() -> None:
    limits = RateLimits(only(key=SMALL), clock=Clock())
    taken = limits.take(["key:a"], tokens=1000)
    limits.settle(taken, 100)
    limits.settle(taken, 100)
    assert limits.take(["key:a"], tokens=900).allowed
    assert not limits.take(["key:a"], tokens=1).allowed


def test_using_more_than_was_taken_is_a_debt_that_later_requests_wait_for() -> None:
    limits = RateLimits(only(key=SMALL), clock=Clock())
    limits.settle(limits.take(["key:a"], tokens=1000), 1500)
    assert limits.take(["key:a"], tokens=100).retry_after_s == pytest.approx(6.0)


def test_a_refused_request_settles_to_nothing() -> None:
    limits = RateLimits(only(key=SMALL), clock=Clock())
    limits.take(["key:a"], tokens=1000)
    limits.settle(limits.take(["key:a"], tokens=500), 0)
    assert not limits.take(["key:a"], tokens=1).allowed


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 20)), min_size=1, max_size=30),
    st.integers(1, 1000),
)
def test_waiting_as_long_as_told_is_enough_and_less_is_not(
    history: list[tuple[int, float]], wanted: int
) -> None:
    clock = Clock()
    limits = RateLimits(only(key=SMALL), clock=clock)
    for tokens, pause in history:
        limits.take(["key:a"], tokens=tokens)
        clock.now += pause
    wait = limits.take(["key:a"], tokens=wanted).retry_after_s
    if wait < 0.01:
        return
    clock.now += wait - 0.005
    assert not limits.take(["key:a"], tokens=wanted).allowed
    clock.now += 0.005
    assert limits.take(["key:a"], tokens=wanted).allowed


@given(st.lists(st.tuples(st.integers(0, 900), st.floats(0, 5)), min_size=1, max_size=60))
def test_no_window_passes_more_than_the_burst_and_the_rate(steps: list[tuple[int, float]]) -> None:
    clock = Clock()
    limits = RateLimits(only(key=SMALL), clock=clock)
    passed: list[tuple[float, int]] = []
    for tokens, pause in steps:
        if limits.take(["key:a"], tokens=tokens).allowed:
            passed.append((clock.now, tokens))
        clock.now += pause
    for first in range(len(passed)):
        total = 0
        for at, tokens in passed[first:]:
            total += tokens
            assert total <= 1000 + (at - passed[first][0]) * 100 + 1e-3


def test_a_reload_keeps_what_was_used_where_the_limits_stay() -> None:
    limits = RateLimits(only(key=SMALL, team=SMALL), clock=Clock())
    for _ in range(5):
        limits.take(["key:a", "team:t"], tokens=1)
    limits.reload(only(key=SMALL, team=Limits(requests=Limit(amount=100, burst=100))))
    assert not limits.take(["key:a"], tokens=0).allowed
    assert limits.take(["team:t"], tokens=0).remaining == 99


def test_the_number_of_subjects_is_bounded_and_a_busy_one_outlives_idle_ones() -> None:
    clock = Clock()
    limits = RateLimits(only(key=SMALL), clock=clock, max_subjects=10)
    for n in range(9):
        limits.take([f"key:{n}"], tokens=1)
    clock.now += 60
    for _ in range(5):
        limits.take(["key:busy"], tokens=1)
    for n in range(100, 105):
        limits.take([f"key:{n}"], tokens=1)
    assert len(limits.buckets) <= 10
    assert not limits.take(["key:busy"], tokens=1).allowed


def test_negative_amounts_are_a_programming_mistake() -> None:
    limits = RateLimits(only(key=SMALL), clock=Clock())
    with pytest.raises(ValueError, match="negative"):
        limits.take(["key:a"], tokens=-1)


@pytest.mark.parametrize("values", [(0, 60.0, 1), (1, 0.0, 1), (1, 60.0, 0)])
def test_a_limit_of_nothing_is_no_limit(values: tuple[int, float, int]) -> None:
    with pytest.raises(ValueError, match="not a limit"):
        Limit(amount=values[0], per_s=values[1], burst=values[2])


def test_what_a_long_request_used_counts_though_its_subject_was_forgotten_meanwhile() -> None:
    limits = RateLimits(only(key=SMALL), clock=Clock())
    taken = limits.take(["key:a"], tokens=100)
    limits.forget(["key:a"])
    limits.settle(taken, 1100)
    assert limits.take(["key:a"], tokens=1).retry_after_s == pytest.approx(0.01)


def test_what_was_taken_under_other_limits_changes_nothing_under_the_new_ones() -> None:
    limits = RateLimits(only(key=SMALL), clock=Clock())
    taken = limits.take(["key:a"], tokens=100)
    limits.reload(only(key=Limits(tokens=Limit(amount=10, burst=10))))
    limits.settle(taken, 1100)
    assert limits.take(["key:a"], tokens=10).allowed


def test_the_figures_of_the_tightest_limit_can_be_read_alone() -> None:
    limits = RateLimits(only(key=SMALL), clock=Clock())
    taken = limits.take(["key:a"], tokens=1)
    assert (taken.limit, taken.remaining) == (60, 4)
    assert taken.reset_s == pytest.approx(1.0)
    free = limits.take(["route:r"], tokens=1)
    assert (free.limit, free.remaining, free.reset_s) == (-1, -1, 0.0)
