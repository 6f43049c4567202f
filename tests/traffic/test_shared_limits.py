import asyncio
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing

import pytest

from conftest import Opener
from lockgate.errors import Corrupt, StorageFailed
from lockgate.traffic.bucket import Limit
from lockgate.traffic.memory import MemoryState
from lockgate.traffic.rate_limits import Limits, LimitsOf, RateLimits
from lockgate.traffic.shared_limits import STATE, SharedLimits
from traffic.clock import Clock
from traffic.replicas import Replicas
from virtual_time import now, run

MINUTE = 60
REQUESTS = Limits(requests=Limit(amount=3000, burst=100))
TOKENS = Limits(tokens=Limit(amount=300_000, burst=20_000))
Start = Callable[[int, LimitsOf], Replicas]
EVEN, SKEWED, ONE = (1, 1, 1, 1), (20, 5, 1, 0.2), (1, 0, 0, 0)


@pytest.fixture
def start() -> Generator[Start]:
    with ExitStack() as open_ones:
        yield lambda count, limits_of: open_ones.enter_context(closing(Replicas(count, limits_of)))


@pytest.mark.parametrize("weights", [EVEN, SKEWED, ONE])
def test_four_replicas_pass_what_one_would_within_a_hundredth(
    start: Start, weights: tuple[float, ...]
) -> None:
    replicas = start(4, lambda _: REQUESTS)
    taken = replicas.poisson("k", per_s=100, seconds=2 * MINUTE, weights=weights, tokens=0)
    passed = sum(t.allowed for t in taken)
    assert passed == pytest.approx(2 * 3000 + 100, rel=0.01)


@pytest.mark.parametrize("weights", [EVEN, SKEWED])
def test_token_limits_are_shared_as_exactly(start: Start, weights: tuple[float, ...]) -> None:
    replicas = start(4, lambda _: TOKENS)
    taken = replicas.poisson("k", per_s=20, seconds=2 * MINUTE, weights=weights, tokens=700)
    passed = 700 * sum(t.allowed for t in taken)
    assert passed == pytest.approx(2 * 300_000 + 20_000, rel=0.01)


def test_load_that_moves_between_replicas_finds_the_whole_limit_again(start: Start) -> None:
    replicas = start(4, lambda _: REQUESTS)
    passed = 0
    for turn in range(12):
        weights = [float(n == turn % 4) for n in range(4)]
        taken = replicas.poisson("k", per_s=100, seconds=10, weights=weights, tokens=0)
        passed += sum(t.allowed for t in taken)
    assert passed == pytest.approx(2 * 3000 + 100, rel=0.01)


def test_load_below_the_limit_is_hardly_refused(start: Start) -> None:
    replicas = start(4, lambda _: REQUESTS)
    taken = replicas.poisson("k", per_s=40, seconds=2 * MINUTE, weights=EVEN, tokens=0)
    assert sum(not t.allowed for t in taken) / len(taken) < 0.01


def test_a_limit_smaller_than_the_number_of_replicas_serves_less_but_never_nothing(
    start: Start,
) -> None:
    tiny = Limits(requests=Limit(amount=30, burst=1))
    replicas = start(4, lambda _: tiny)
    taken = replicas.poisson("k", per_s=5, seconds=10 * MINUTE, weights=EVEN, tokens=0)
    assert 100 < sum(t.allowed for t in taken) <= 301


def test_a_request_larger_than_a_replicas_part_passes_after_the_next_exchange(start: Start) -> None:
    replicas = start(4, lambda _: TOKENS)
    replicas.advance(replicas.clock.now + 1)
    refused = replicas.limits[0].take(["k"], tokens=15_000)
    assert not refused.allowed
    assert 0 < refused.retry_after_s <= 0.25
    replicas.advance(replicas.clock.now + 0.3)
    assert replicas.limits[0].take(["k"], tokens=15_000).allowed


def test_while_the_store_is_away_the_replicas_keep_to_their_parts(start: Start) -> None:
    replicas = start(4, lambda _: REQUESTS)
    replicas.poisson("k", per_s=100, seconds=20, weights=EVEN, tokens=0)
    replicas.state.down = True
    replicas.advance(replicas.clock.now + 0.3)
    taken = replicas.poisson("k", per_s=100, seconds=MINUTE, weights=EVEN, tokens=0)
    assert sum(t.allowed for t in taken) == pytest.approx(3000, rel=0.05)
    new = replicas.poisson("new", per_s=100, seconds=MINUTE, weights=EVEN, tokens=0)
    assert sum(t.allowed for t in new) == pytest.approx(3000 + 100, rel=0.05)


def test_when_the_store_is_back_the_limit_is_exact_again_and_nothing_is_owed(start: Start) -> None:
    replicas = start(4, lambda _: REQUESTS)
    replicas.state.down = True
    replicas.poisson("k", per_s=100, seconds=MINUTE, weights=EVEN, tokens=0)
    replicas.state.down = False
    taken = replicas.poisson("k", per_s=100, seconds=2 * MINUTE, weights=EVEN, tokens=0)
    assert sum(t.allowed for t in taken) == pytest.approx(2 * 3000, rel=0.03)


def test_a_replica_that_dies_gives_its_part_to_the_others(start: Start) -> None:
    replicas = start(4, lambda _: REQUESTS)
    replicas.poisson("k", per_s=100, seconds=20, weights=EVEN, tokens=0)
    replicas.kill(3)
    replicas.advance(replicas.clock.now + 11)
    replicas.poisson("k", per_s=100, seconds=5, weights=(1, 1, 1, 0), tokens=0)
    taken = replicas.poisson("k", per_s=100, seconds=MINUTE, weights=(1, 1, 1, 0), tokens=0)
    assert sum(t.allowed for t in taken) == pytest.approx(3000, rel=0.01)


@pytest.mark.parametrize("ahead_s", [5.0, 60.0, 3600.0])
def test_a_clock_that_is_wrong_changes_nothing(start: Start, ahead_s: float) -> None:
    replicas = start(4, lambda _: REQUESTS)
    replicas.skew_s[:] = [0.0, -ahead_s, 0.0, ahead_s]
    taken = replicas.poisson("k", per_s=100, seconds=2 * MINUTE, weights=EVEN, tokens=0)
    assert sum(t.allowed for t in taken) == pytest.approx(2 * 3000 + 100, rel=0.01)


def test_a_clock_that_was_wrong_and_is_put_right_stops_nobody(start: Start) -> None:
    replicas = start(2, lambda _: REQUESTS)
    replicas.poisson("k", per_s=100, seconds=10, weights=(1, 1), tokens=0)
    replicas.skew_s[1] = 3600.0
    replicas.poisson("k", per_s=100, seconds=10, weights=(1, 1), tokens=0)
    replicas.skew_s[1] = 0.0
    taken = replicas.poisson("k", per_s=100, seconds=MINUTE, weights=(1, 1), tokens=0)
    assert sum(t.allowed for t in taken) == pytest.approx(3000, rel=0.01)


def test_a_replica_that_begins_with_a_wrong_clock_gains_no_more_than_a_burst(start: Start) -> None:
    replicas = start(2, lambda _: REQUESTS)
    replicas.poisson("k", per_s=100, seconds=10, weights=(1, 1), tokens=0)
    passed = 0
    for _ in range(3):
        replicas.kill(1)
        replicas.skew_s[1] = 3600.0
        replicas.start(1)
        taken = replicas.poisson("k", per_s=100, seconds=MINUTE, weights=(1, 1), tokens=0)
        passed += sum(t.allowed for t in taken)
    assert passed == pytest.approx(3 * 3000 + 100, rel=0.015)


def test_subjects_that_nobody_asks_for_leave_the_shared_state(start: Start) -> None:
    replicas = start(2, lambda _: REQUESTS)
    for n in range(50):
        replicas.limits[n % 2].take([f"k{n}"], tokens=0)
    replicas.advance(replicas.clock.now + 1)
    assert _document(replicas).count("requests") == 50
    replicas.advance(replicas.clock.now + 40)
    assert _document(replicas).count("requests") == 0
    assert not replicas.limits[0].buckets


def test_what_a_long_request_used_reaches_the_other_replicas() -> None:
    async def work() -> None:
        state, clock = MemoryState(), Clock()
        limits = [RateLimits(lambda _: TOKENS, clock=clock) for _ in range(2)]
        shared = [
            SharedLimits(lim, state, replica=name, clock=clock, wall_clock=clock)
            for lim, name in zip(limits, "ab", strict=True)
        ]

        async def pass_time(seconds: float) -> None:
            for _ in range(int(seconds * 4)):
                clock.now += 0.25
                for replica in shared:
                    await replica.exchange()

        await pass_time(1)
        taken = limits[0].take(["k"], tokens=100)
        await pass_time(60)
        assert not limits[0].buckets
        limits[0].settle(taken, 20_100)
        await pass_time(0.25)
        limits[1].take(["k"], tokens=1)
        await pass_time(0.25)
        assert limits[1].take(["k"], tokens=1).remaining < 3000

    asyncio.run(work())


def test_a_subject_that_comes_back_while_the_database_is_asked_loses_nothing() -> None:
    async def work() -> None:
        clock = Clock()
        limits = RateLimits(lambda _: REQUESTS, clock=clock)

        class Interrupted(MemoryState):
            async def change(self, name: str, change: Callable[[str | None], str]) -> None:
                await super().change(name, change)
                if clock.now > 1003.5:
                    limits.take(["k"], tokens=0)

        shared = SharedLimits(limits, Interrupted(), replica="a", clock=clock, wall_clock=clock)
        limits.take(["k"], tokens=0)
        for _ in range(16):
            await shared.exchange()
            clock.now += 0.25
        assert limits.buckets["k"][0].spent + limits.buckets["k"][0].wanted > 0

    asyncio.run(work())


def _document(replicas: Replicas) -> str:
    return asyncio.run(replicas.state.read(STATE)) or ""


def test_replicas_share_a_limit_through_a_database(opener: Opener) -> None:
    async def work() -> None:
        clock = Clock()
        async with opener() as ours, opener() as theirs:
            limits = [RateLimits(lambda _: REQUESTS, clock=clock) for _ in range(2)]
            shared = [
                SharedLimits(lim, store, replica=name, clock=clock, wall_clock=clock)
                for lim, store, name in zip(limits, (ours, theirs), "ab", strict=True)
            ]
            passed = 0
            for _ in range(40):
                for replica in shared:
                    assert await replica.exchange() is None
                passed += sum(
                    lim.take(["k"], tokens=0).allowed for lim in limits for _ in range(30)
                )
                clock.now += 0.25
            assert passed == pytest.approx(100 + 10 * 50, rel=0.05)

    asyncio.run(work())


def test_a_database_that_hangs_is_left_alone_after_two_seconds() -> None:
    class Hanging(MemoryState):
        async def change(self, name: str, change: Callable[[str | None], str]) -> None:
            await asyncio.sleep(3600)

    async def work() -> None:
        limits = RateLimits(lambda _: REQUESTS, clock=now)
        shared = SharedLimits(limits, Hanging(), replica="a", clock=now, wall_clock=now)
        assert limits.take(["k"], tokens=0).allowed
        assert "2" in str(await shared.exchange())
        assert now() == pytest.approx(2.0)
        assert not shared.connected
        assert limits.take(["k"], tokens=0).allowed

    run(work())


def test_a_damaged_shared_state_is_reported_and_the_replica_goes_on_alone() -> None:
    async def work() -> None:
        state, clock = MemoryState(), Clock()
        limits = RateLimits(lambda _: REQUESTS, clock=clock)
        shared = SharedLimits(limits, state, replica="a", clock=clock, wall_clock=clock)
        limits.take(["k"], tokens=0)
        assert await shared.exchange() is None
        await state.change(STATE, lambda _: '{"replicas": []}')
        assert isinstance(await shared.exchange(), Corrupt)
        clock.now += 1
        assert limits.take(["k"], tokens=0).allowed

    asyncio.run(work())


def test_a_replica_keeps_its_part_of_the_pot_when_the_database_goes_away() -> None:
    class Ending(MemoryState):
        away = False

        async def change(self, name: str, change: Callable[[str | None], str]) -> None:
            if self.away:
                raise StorageFailed("away")
            await super().change(name, change)

    async def work() -> None:
        clock, state = Clock(), Ending()
        limits = [RateLimits(lambda _: REQUESTS, clock=clock) for _ in range(2)]
        shared = [
            SharedLimits(lim, state, replica=name, clock=clock, wall_clock=clock)
            for lim, name in zip(limits, "ab", strict=True)
        ]
        for _ in range(3):
            for lim, replica in zip(limits, shared, strict=True):
                assert lim.take(["k"], tokens=0).allowed
                assert await replica.exchange() is None
        state.away = True
        # More than the lease, before the failure is known: the rest is from the common pot.
        passed = [sum(lim.take(["k"], tokens=0).allowed for _ in range(10)) for lim in limits]
        for replica in shared:
            assert await replica.exchange() is not None
        passed += [sum(lim.take(["k"], tokens=0).allowed for _ in range(100)) for lim in limits]
        assert passed[:2] == [10, 10]
        assert 80 <= sum(passed) <= 94

    asyncio.run(work())


def test_a_report_that_the_store_has_is_not_made_again_when_the_exchange_is_broken_off() -> None:
    clock = Clock()
    limits = RateLimits(lambda _: Limits(requests=Limit(amount=3, burst=3)), clock=clock)

    class Slow(MemoryState):
        committed = asyncio.Event()
        answers = asyncio.Event()

        async def change(self, name: str, change: Callable[[str | None], str]) -> None:
            await super().change(name, change)
            self.committed.set()
            await self.answers.wait()

    async def work() -> None:
        state = Slow()
        shared = SharedLimits(limits, state, replica="a", clock=clock, wall_clock=clock)
        state.answers.set()
        await shared.exchange()
        state.answers.clear()
        state.committed.clear()
        assert all(limits.take(["k"], tokens=0).allowed for _ in range(2))
        exchanging = asyncio.ensure_future(shared.exchange())
        await state.committed.wait()
        exchanging.cancel()
        state.answers.set()
        with pytest.raises(asyncio.CancelledError):
            await exchanging
        await shared.exchange()

        assert limits.take(["k"], tokens=0).allowed
        assert not limits.take(["k"], tokens=0).allowed

    asyncio.run(work())
