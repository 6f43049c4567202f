"""Where requests wait for a backend, if they must, and where those that cannot be in time are shed.

Between the classes the tokens are shared by start-time fair queueing (Goyal, Vin and Cheng, 1996):
each keeps its share while both wait, and either takes everything when alone. Within a class the
higher priority goes first, then the earlier deadline.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from lockgate.errors import Overloaded, RequestRefused, Unavailable, UpstreamFailed
from lockgate.traffic.concurrency import Concurrency
from lockgate.traffic.lane import Klass, Lane, Waiter
from lockgate.traffic.pace import Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """How much may wait."""

    most_tokens: int = 200_000
    """Tokens of all waiting requests together."""
    most_waiting: int = 1000
    batch_share: float = 0.1
    """Of the tokens served, and of the queue, for batch work while online work waits too."""

    def __post_init__(self) -> None:
        if min(self.most_tokens, self.most_waiting) < 0 or not 0 < self.batch_share < 1:
            raise ValueError(f"not a queue: {self}")


class Asked(NamedTuple):
    """What a request asks of the queue."""

    cost: int
    klass: Klass
    deadline: float
    priority: int


class Queue:
    """The queue in front of one backend. Used from one event loop.

    `clock` gives the seconds in which deadlines are told.
    """

    def __init__(
        self, concurrency: Concurrency, settings: QueueSettings, *, clock: Callable[[], float]
    ) -> None:
        self.in_flight = 0
        self.pace = Pace()
        self._concurrency = concurrency
        self._settings = settings
        self.clock = clock
        self._online = Lane(1 - settings.batch_share)
        self._batch = Lane(settings.batch_share)
        self._seq = 0
        self._virtual_time = 0.0
        self._tokens_in_flight = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._online) + len(self._batch)

    @property
    def waiting_tokens(self) -> int:
        """How much waits."""
        return self._online.cost + self._batch.cost

    @property
    def limit(self) -> int:
        """How many requests the backend gets at a time now."""
        return self._concurrency.limit

    def waiting_of(self, klass: Klass) -> tuple[int, int]:
        """Return how many requests of a class wait, and how many tokens."""
        lane = self._lane(klass)
        return len(lane), lane.cost

    def slot(self, cost: int, klass: Klass, deadline: float, *, priority: int = 0) -> "Slot":
        """Return what is entered to get a slot, and left to give it back.

        `cost` is in tokens, `deadline` the moment by which the work is to be done.
        """
        return Slot(self, Asked(max(cost, 1), klass, deadline, priority))

    def enter_now(self, asked: Asked) -> bool:
        """Take a slot if one is free; say whether it was. Raises as `enter`."""
        if self.in_flight >= self._concurrency.limit or self._online.cost or self._batch.cost:
            return False
        if self._late_s(asked.deadline, asked.cost, 0.0) > 0:
            self._refuse_late(asked, ahead_s=0.0)
        self._begin(asked.cost)
        return True

    async def enter(self, asked: Asked) -> None:
        """Wait for a slot. `Slot` gives it back.

        Raises:
            Overloaded: it cannot be done in time, or something else has a better claim.

        """
        waiter = self._enqueue(asked)
        self._dispatch()
        await self._wait(waiter)

    def _lane(self, klass: Klass) -> Lane:
        return self._online if klass is Klass.ONLINE else self._batch

    def _enqueue(self, asked: Asked) -> Waiter:
        self._seq += 1
        loop = asyncio.get_running_loop()
        waiter = Waiter(
            cost=asked.cost,
            klass=asked.klass,
            deadline=asked.deadline,
            priority=asked.priority,
            seq=self._seq,
            granted=loop.create_future(),
        )
        lane = self._lane(waiter.klass)
        self._refuse_late(asked, ahead_s=self._wait_s(lane, waiter))
        if not len(lane):
            lane.served = max(lane.served, self._virtual_time)
        lane.add(waiter)
        self._fit(waiter)
        latest = waiter.deadline - self.clock() - self.pace.surely_s(waiter.cost)
        waiter.timer = loop.call_later(max(0.0, latest), self._expire, waiter)
        return waiter

    async def _wait(self, waiter: Waiter) -> None:
        try:
            await waiter.granted
        except asyncio.CancelledError:
            granted = waiter.granted.done() and not waiter.granted.cancelled()
            if granted and waiter.granted.exception() is None:
                self._give_back(waiter.cost)  # the slot came together with the cancellation
            else:
                self._lane(waiter.klass).remove(waiter)
            raise
        finally:
            if waiter.timer is not None:
                waiter.timer.cancel()

    def leave(self, cost: int, seconds: float, error: BaseException | None) -> None:
        """Give a slot back, and learn from how the work ended."""
        if error is None:
            self.pace.completed(cost, seconds)
            self._concurrency.completed(cost, seconds, in_flight=self.in_flight)
        elif isinstance(error, (Unavailable, TimeoutError)) and not isinstance(
            error,
            # What is broken, or asked for what cannot be done, has not too much to do.
            (Overloaded, UpstreamFailed, RequestRefused),
        ):
            self._concurrency.overloaded()
        self._give_back(cost)

    def _begin(self, cost: int) -> None:
        self.in_flight += 1
        self._tokens_in_flight += cost

    def _give_back(self, cost: int) -> None:
        self.in_flight -= 1
        self._tokens_in_flight -= cost
        if self._online.cost or self._batch.cost:
            self._dispatch()

    def _dispatch(self) -> None:
        while self.waiting and self.in_flight < self._concurrency.limit:
            lanes = [lane for lane in (self._online, self._batch) if len(lane)]
            lane = min(lanes, key=lambda lane: lane.served)
            waiter = lane.first
            lane.remove(waiter)
            if waiter.granted.done():  # cancelled, and not yet told
                continue
            if self._late_s(waiter.deadline, waiter.cost, 0.0) > 0:
                self._shed(waiter)
                continue
            self._virtual_time = lane.served
            lane.served += waiter.cost / lane.share
            self._begin(waiter.cost)
            waiter.granted.set_result(None)

    def _wait_s(self, lane: Lane, waiter: Waiter) -> float:
        """Estimate the wait: what goes before it in its class, and what the other class takes."""
        rate = self._rate
        if rate == 0:
            return 0.0
        ahead = lane.ahead(waiter.key)
        others = self.waiting_tokens - lane.cost
        running = self._tokens_in_flight / 2  # half done, on average
        return (running + min(ahead / lane.share, ahead + others)) / rate

    @property
    def _rate(self) -> float:
        """Tokens a second that the backend does at its present limit; 0 if not known."""
        return self._concurrency.limit / self.pace.mean if self.pace.mean else 0.0

    def _late_s(self, deadline: float, cost: int, ahead_s: float) -> float:
        """Return by how many seconds it would miss its deadline; not positive: it would not."""
        return self.clock() + ahead_s + self.pace.surely_s(cost) - deadline

    def _refuse_late(self, asked: Asked, *, ahead_s: float) -> None:
        late_s = self._late_s(asked.deadline, asked.cost, ahead_s)
        if late_s <= 0:
            return
        allowed_s = asked.deadline - self.clock()
        # Waiting helps only if the time allowed is enough for the work alone.
        helps = allowed_s > 0 and late_s <= ahead_s
        raise Overloaded(
            f"the request cannot be done in the {max(0.0, allowed_s):.1f} s it has: "
            f"{ahead_s:.1f} s of work are before it",
            retry_after_s=late_s if helps else None,
        )

    def _fit(self, newcomer: Waiter) -> None:
        """Shed what has too little claim until the rest fits the bounds."""
        while (
            self.waiting_tokens > self._settings.most_tokens
            or self.waiting > self._settings.most_waiting
        ):
            # The class that is furthest above its share of the queue loses its least urgent.
            lane = max((self._online, self._batch), key=lambda lane: lane.cost / lane.share)
            victim = lane.last
            lane.remove(victim)
            if victim is newcomer:
                raise self._full(victim)
            self._shed(victim)

    def _shed(self, waiter: Waiter) -> None:
        if not waiter.granted.done():
            waiter.granted.set_exception(self._full(waiter))

    def _expire(self, waiter: Waiter) -> None:
        if self._lane(waiter.klass).remove(waiter):
            self._shed(waiter)

    def _full(self, waiter: Waiter) -> Overloaded:
        lane = self._lane(waiter.klass)
        before_s = self._wait_s(lane, waiter)
        drain_s = waiter.cost / self._rate if self._rate else None
        return Overloaded(
            f"{self.waiting} requests with {self.waiting_tokens} tokens wait already",
            retry_after_s=None if drain_s is None else max(before_s, drain_s),
        )


class Slot:
    """`async with` it: the block runs while the backend has a place for it.

    Entering raises Overloaded when the request is shed. Cancelling is safe at every moment.
    """

    __slots__ = ("_asked", "_queue", "_started", "waited_s")

    def __init__(self, queue: Queue, asked: Asked) -> None:
        self._queue = queue
        self._asked = asked
        self._started = 0.0
        self.waited_s = 0.0

    async def __aenter__(self) -> Self:
        came = self._queue.clock()
        if self._queue.enter_now(self._asked):
            self._started = came
            return self
        await self._queue.enter(self._asked)
        self._started = self._queue.clock()
        self.waited_s = self._started - came
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        seconds = self._queue.clock() - self._started
        self._queue.leave(self._asked.cost, seconds, error)
