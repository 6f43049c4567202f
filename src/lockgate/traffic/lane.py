"""The waiting requests of one class, the most urgent first."""

import asyncio
from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum


class Klass(StrEnum):
    """Somebody waits for ONLINE work; BATCH work only has to be done some time."""

    ONLINE = "online"
    BATCH = "batch"


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that waits for a slot."""

    cost: int
    klass: Klass
    deadline: float
    priority: int
    seq: int
    granted: "asyncio.Future[None]"
    timer: asyncio.TimerHandle | None = None
    key: tuple[int, float, int] = field(init=False)
    """Higher priority first, then the earlier deadline, then who came first."""

    def __post_init__(self) -> None:
        self.key = (-self.priority, self.deadline, self.seq)


class Lane:
    """Sorted by `Waiter.key`. Its `served` is a virtual time: tokens served over its share."""

    __slots__ = ("_costs", "_keys", "_waiters", "cost", "served", "share")

    def __init__(self, share: float) -> None:
        self.share = share
        self.served = 0.0
        self.cost = 0
        """Of all that wait."""
        self._keys: list[tuple[int, float, int]] = []
        self._waiters: list[Waiter] = []
        self._costs: list[int] = []

    def __len__(self) -> int:
        return len(self._keys)

    def ahead(self, key: tuple[int, float, int]) -> int:
        """Return the cost of those that go before `key`."""
        return sum(self._costs[: bisect_left(self._keys, key)])

    def add(self, waiter: Waiter) -> None:
        assert waiter.cost > 0, "by its cost it is seen that a lane has somebody"
        at = bisect_left(self._keys, waiter.key)
        self._keys.insert(at, waiter.key)
        self._waiters.insert(at, waiter)
        self._costs.insert(at, waiter.cost)
        self.cost += waiter.cost

    def remove(self, waiter: Waiter) -> bool:
        """Take a waiter out; return whether it was there."""
        at = bisect_left(self._keys, waiter.key)
        if at == len(self._keys) or self._waiters[at] is not waiter:
            return False
        del self._keys[at], self._waiters[at], self._costs[at]
        self.cost -= waiter.cost
        return True

    @property
    def first(self) -> Waiter:
        return self._waiters[0]

    @property
    def last(self) -> Waiter:
        return self._waiters[-1]
