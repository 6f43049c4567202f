import asyncio

import pytest

from lockgate.errors import Overloaded
from lockgate.traffic.concurrency import AdaptiveConcurrency, FixedConcurrency
from lockgate.traffic.lane import Klass
from lockgate.traffic.queue import Queue, QueueSettings
from virtual_time import now, run


class Backend:
    """Does so many requests at a time and lets the others wait their turn, unseen."""

    def __init__(self, workers: int) -> None:
        self.free = asyncio.Semaphore(workers)
        self.done = 0

    async def work(self) -> None:
        async with self.free:
            await asyncio.sleep(0.1)
        self.done += 1


async def _drive(concurrency: AdaptiveConcurrency, backend: Backend, seconds: float) -> float:
    """Keep the queue full; return the goodput per second."""
    queue = Queue(concurrency, QueueSettings(), clock=now)
    end = now() + seconds

    async def client() -> None:
        while now() < end:
            async with queue.slot(100, Klass.ONLINE, 1e9):
                await backend.work()

    before = backend.done
    await asyncio.gather(*(client() for _ in range(200)))
    return (backend.done - before) / seconds


@pytest.mark.parametrize("workers", [1, 8, 40])
def test_the_limit_finds_the_capacity_of_a_backend_it_knows_nothing_of(workers: int) -> None:
    async def test() -> None:
        concurrency, backend = AdaptiveConcurrency(tolerance=1.5), Backend(workers)
        await _drive(concurrency, backend, 60)
        assert workers <= concurrency.limit <= 2.5 * workers + 2
        assert await _drive(concurrency, backend, 10) >= 0.95 * workers / 0.1

    run(test())


def test_a_backend_that_became_smaller_gets_less() -> None:
    async def test() -> None:
        concurrency, backend = AdaptiveConcurrency(tolerance=1.5), Backend(20)
        await _drive(concurrency, backend, 60)
        large = concurrency.limit
        await _drive(concurrency, Backend(5), 20)
        assert concurrency.limit < large / 2

    run(test())


def test_a_refusing_backend_gets_less_at_once_and_once_for_all_that_was_in_flight() -> None:
    concurrency = AdaptiveConcurrency(initial=100, most=100)
    for _ in range(5):
        concurrency.completed(1, 0.1, in_flight=50)
    for _ in range(20):
        concurrency.overloaded()
    assert concurrency.limit == 75


def test_a_limit_that_is_not_reached_does_not_grow() -> None:
    concurrency = AdaptiveConcurrency(initial=10)
    for _ in range(900):
        concurrency.completed(10, 0.1, in_flight=3)
    assert concurrency.limit == 10


def test_the_limit_stays_within_its_bounds() -> None:
    concurrency = AdaptiveConcurrency(initial=4, least=2, most=6)
    for _ in range(500):
        concurrency.completed(10, 0.1, in_flight=6)
    assert concurrency.limit == 6
    for n in range(400):
        concurrency.completed(10, 0.1 * n, in_flight=6)
    assert concurrency.limit == 2


def test_a_limit_of_no_requests_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FixedConcurrency(0)
    with pytest.raises(ValueError, match="not a concurrency"):
        AdaptiveConcurrency(initial=1, least=2)


def test_an_overload_says_when_to_come_back() -> None:
    assert Overloaded("full", retry_after_s=2.0).retry_after_s == 2.0


def test_a_backend_that_is_quick_is_never_held_back_by_our_own_loop() -> None:
    concurrency = AdaptiveConcurrency(initial=64, quick_s=0.05)
    for at in range(20_000):
        concurrency.completed(10, 0.0001 if at % 1000 < 10 else 0.01, in_flight=concurrency.limit)
        assert concurrency.limit >= 64
    assert concurrency.limit > 100


def test_what_was_first_seen_under_overload_is_not_taken_for_the_best() -> None:
    async def test() -> None:
        concurrency, backend = AdaptiveConcurrency(initial=64), Backend(8)
        await _drive(concurrency, backend, 60)
        assert concurrency.limit <= 2.5 * 8 + 2

    run(test())
