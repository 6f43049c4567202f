import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import Overloaded, RequestRefused, Unavailable, UpstreamFailed
from lockgate.traffic.concurrency import FixedConcurrency
from lockgate.traffic.lane import Klass
from lockgate.traffic.queue import Queue, QueueSettings
from virtual_time import now, run

LATE = 1e9


def queue(limit: int = 1, settings: QueueSettings | None = None) -> Queue:
    return Queue(FixedConcurrency(limit), settings or QueueSettings(), clock=now)


def job(  # noqa: PLR0913  what a test wants to vary
    q: Queue,
    done: list[str],
    name: str,
    *,
    cost: int = 10,
    klass: Klass = Klass.ONLINE,
    deadline: float = LATE,
    priority: int = 0,
    seconds: float = 1.0,
) -> "asyncio.Task[None]":
    async def work() -> None:
        async with q.slot(cost, klass, deadline, priority=priority):
            await asyncio.sleep(seconds)
            done.append(name)

    return asyncio.get_running_loop().create_task(work(), name=name)


def simulated(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    async def whole() -> None:
        await test()

    def wrapped() -> None:
        run(whole())

    wrapped.__name__ = test.__name__
    return wrapped


@simulated
async def test_no_more_run_at_a_time_than_the_limit() -> None:
    q, done = queue(3), list[str]()
    jobs = [job(q, done, str(n)) for n in range(10)]
    while not all(j.done() for j in jobs):
        await asyncio.sleep(0.1)
        assert q.in_flight <= 3
    assert now() == pytest.approx(4.0, abs=0.2)
    assert (q.in_flight, q.waiting, q.waiting_tokens) == (0, 0, 0)


@pytest.mark.parametrize(
    ("error", "slower"),
    [
        (Unavailable("no answer"), True),
        (TimeoutError(), True),
        (UpstreamFailed("it is broken"), False),
        (RequestRefused("no text can be held to this"), False),
    ],
)
def test_only_what_says_of_too_much_to_do_lowers_the_limit(
    error: Exception, *, slower: bool
) -> None:
    """A client whose requests cannot be done would else take the places of all others."""

    class Noting(FixedConcurrency):
        lowered = False

        def overloaded(self) -> None:
            self.lowered = True

    async def work() -> None:
        concurrency = Noting(2)
        q = Queue(concurrency, QueueSettings(), clock=now)
        with pytest.raises(type(error)):
            async with q.slot(10, Klass.ONLINE, LATE):
                raise error
        assert (concurrency.lowered, q.in_flight) == (slower, 0)

    run(work())


@simulated
async def test_within_a_class_priority_goes_first_then_the_earlier_deadline_then_who_came() -> None:
    q, done = queue(), list[str]()
    jobs = [
        job(q, done, "runs"),
        job(q, done, "late", deadline=900),
        job(q, done, "soon", deadline=100),
        job(q, done, "late too", deadline=900),
        job(q, done, "urgent", deadline=1000, priority=1),
    ]
    await asyncio.gather(*jobs)
    assert done == ["runs", "urgent", "soon", "late", "late too"]


@simulated
async def test_batch_work_gets_its_share_of_tokens_however_much_online_work_waits() -> None:
    q, done = queue(settings=QueueSettings(batch_share=0.2)), list[str]()
    jobs = [job(q, done, "online", cost=10, priority=9) for _ in range(80)]
    jobs += [job(q, done, "batch", cost=40, klass=Klass.BATCH) for _ in range(5)]
    await asyncio.gather(*jobs)
    first_half = done[:42]
    assert (
        0.15
        <= 40
        * first_half.count("batch")
        / (40 * first_half.count("batch") + 10 * first_half.count("online"))
        <= 0.27
    )


@simulated
async def test_a_class_that_was_idle_gets_no_credit_for_it() -> None:
    q, done = queue(settings=QueueSettings(batch_share=0.5)), list[str]()
    await asyncio.gather(*(job(q, done, "online") for _ in range(50)))
    done.clear()
    jobs = [job(q, done, "online") for _ in range(10)]
    jobs += [job(q, done, "batch", klass=Klass.BATCH) for _ in range(10)]
    await asyncio.gather(*jobs)
    assert 4 <= done[:10].count("batch") <= 6


async def _warm(q: Queue, seconds: float = 1.0) -> None:
    done: list[str] = []
    for _ in range(5):
        await job(q, done, "warm", seconds=seconds)


@simulated
async def test_what_cannot_meet_its_deadline_is_shed_at_once_with_the_time_to_come_back() -> None:
    q, done = queue(), list[str]()
    await _warm(q)
    jobs = [job(q, done, str(n), priority=1) for n in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as shed:
        await job(q, done, "hopeless", deadline=now() + 2)
    # One runs, four wait before it, a second each, and then it takes one itself.
    assert shed.value.retry_after_s == pytest.approx(5 + 1 - 2, abs=0.6)
    began = now()
    await asyncio.sleep(shed.value.retry_after_s or 0)
    await job(q, done, "back", deadline=now() + 3)
    assert now() - began < 8
    await asyncio.gather(*jobs)


@simulated
async def test_a_deadline_too_short_for_the_work_alone_gets_no_retry_after() -> None:
    q = queue()
    await _warm(q)
    with pytest.raises(Overloaded) as shed:
        await job(q, [], "hopeless", deadline=now() + 0.5)
    assert shed.value.retry_after_s is None
    assert q.in_flight == 0


@simulated
async def test_a_waiter_whose_deadline_goes_out_of_reach_is_told_then_and_not_at_the_end() -> None:
    q, done = queue(), list[str]()
    await _warm(q)
    blocking = job(q, done, "long", seconds=100)
    await asyncio.sleep(0)
    began = now()
    with pytest.raises(Overloaded):
        await job(q, done, "waits", deadline=now() + 10)
    assert now() - began == pytest.approx(9.0, abs=0.1)
    assert q.waiting == 0
    await blocking


@simulated
async def test_the_queue_never_holds_more_than_its_bounds() -> None:
    q, done = queue(settings=QueueSettings(most_tokens=100, most_waiting=8)), list[str]()
    jobs = [job(q, done, str(n), cost=7 + n % 20) for n in range(100)]
    while not all(j.done() for j in jobs):
        await asyncio.sleep(0.25)
        assert q.waiting_tokens <= 100
        assert q.waiting <= 8
    shed = [j for j in jobs if isinstance(j.exception(), Overloaded)]
    assert len(shed) + len(done) == 100
    assert shed


@simulated
async def test_a_full_queue_gives_up_its_least_urgent_for_a_more_urgent_newcomer() -> None:
    q, done = queue(settings=QueueSettings(most_tokens=30)), list[str]()
    jobs = [job(q, done, f"{n}", deadline=1000 + n) for n in range(4)]
    await asyncio.sleep(0)
    urgent = job(q, done, "urgent", priority=1)
    await asyncio.gather(*jobs, urgent, return_exceptions=True)
    assert done == ["0", "urgent", "1", "2"]
    assert isinstance(jobs[3].exception(), Overloaded)


@simulated
async def test_online_work_cannot_push_batch_work_out_of_its_share_of_the_queue() -> None:
    q, done = queue(settings=QueueSettings(most_tokens=100, batch_share=0.2)), list[str]()
    jobs = [job(q, done, "batch", klass=Klass.BATCH) for _ in range(10)]
    jobs += [job(q, done, "online", priority=5) for _ in range(30)]
    await asyncio.sleep(0)
    await asyncio.gather(*jobs, return_exceptions=True)
    assert done.count("batch") == 3  # one that ran at once, and a fifth of the queue
    assert done.count("online") == 8


@simulated
async def test_a_cancelled_waiter_leaves_no_trace() -> None:
    q, done = queue(), list[str]()
    first, second, third = (job(q, done, str(n)) for n in range(3))
    await asyncio.sleep(0.5)
    second.cancel()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert done == ["0", "2"]
    assert (q.in_flight, q.waiting, q.waiting_tokens) == (0, 0, 0)


@simulated
async def test_a_waiter_cancelled_as_it_gets_its_slot_passes_it_on() -> None:
    q, done = queue(), list[str]()
    first, second, third = (job(q, done, str(n)) for n in range(3))
    first.add_done_callback(lambda _: second.cancel())
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert second.cancelled()
    assert done == ["0", "2"]
    assert (q.in_flight, q.waiting) == (0, 0)


@simulated
async def test_slots_come_back_whatever_the_work_raises() -> None:
    q = queue()
    for _ in range(3):
        with pytest.raises(Unavailable):
            async with q.slot(1, Klass.ONLINE, LATE):
                raise Unavailable("gone")
    assert q.in_flight == 0


@simulated
async def test_any_order_of_cancellations_leaves_the_queue_empty() -> None:
    for step in range(1, 12):
        q, done = queue(2), list[str]()
        jobs = [job(q, done, str(n), seconds=0.3) for n in range(12)]
        for turn, victim in enumerate(jobs[::step]):
            await asyncio.sleep(0.1 * (turn % 3))
            victim.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        assert (q.in_flight, q.waiting, q.waiting_tokens) == (0, 0, 0)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 60),  # cost
            st.sampled_from(Klass),
            st.floats(0.1, 20),  # time allowed
            st.integers(0, 2),  # priority
            st.floats(0, 0.5),  # pause before
            st.one_of(st.none(), st.floats(0, 3)),  # cancelled after
        ),
        max_size=40,
    ),
    st.integers(1, 3),
)
def test_whatever_comes_and_goes_the_bounds_hold_and_nothing_is_left_behind(
    load: list[tuple[int, Klass, float, int, float, float | None]], limit: int
) -> None:
    async def work() -> None:
        q, done = queue(limit, QueueSettings(most_tokens=120, most_waiting=6)), list[str]()
        jobs: list[asyncio.Task[None]] = []
        for cost, klass, allowed_s, priority, pause_s, cancelled_s in load:
            jobs.append(
                job(
                    q,
                    done,
                    "",
                    cost=cost,
                    klass=klass,
                    deadline=now() + allowed_s,
                    priority=priority,
                    seconds=cost / 20,
                )
            )
            if cancelled_s is not None:
                asyncio.get_running_loop().call_later(cancelled_s, jobs[-1].cancel)
            await asyncio.sleep(pause_s)
            assert q.in_flight <= limit
            assert q.waiting_tokens <= 120
            assert q.waiting <= 6
            assert not q.waiting or q.in_flight == limit
        for ended in await asyncio.gather(*jobs, return_exceptions=True):
            assert ended is None or isinstance(ended, Overloaded | asyncio.CancelledError)
        assert (q.in_flight, q.waiting, q.waiting_tokens) == (0, 0, 0)

    run(work())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_each_class_has_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="not a queue"):
        QueueSettings(batch_share=share)
