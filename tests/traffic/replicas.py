"""Replicas of a gateway behind a fair load balancer, in simulated time."""

import asyncio
import heapq
import random
from collections.abc import Callable, Sequence

from lockgate.errors import StorageFailed
from lockgate.traffic.memory import MemoryState
from lockgate.traffic.rate_limits import LimitsOf, RateLimits, Taken
from lockgate.traffic.shared_limits import EVERY_S, SharedLimits
from traffic.clock import Clock


class FailingState(MemoryState):
    """Fails while it is `down`."""

    down = False

    async def read(self, name: str) -> str | None:
        self._knock()
        return await super().read(name)

    async def change(self, name: str, change: Callable[[str | None], str]) -> None:
        self._knock()
        await super().change(name, change)

    def _knock(self) -> None:
        if self.down:
            raise StorageFailed("the database is away")


class Replicas:
    """Each exchanges leases at its own phase of the interval."""

    def __init__(self, count: int, limits_of: LimitsOf, *, seed: int = 1) -> None:
        self.random = random.Random(seed)  # noqa: S311  a seeded simulation
        self.clock = Clock()
        self.state = FailingState()
        self.limits = [RateLimits(limits_of, clock=self.clock) for _ in range(count)]
        self._shared = [
            SharedLimits(
                limits, self.state, replica=f"r{n}", clock=self.clock, wall_clock=self._skewed(n)
            )
            for n, limits in enumerate(self.limits)
        ]
        self._due = [(self.clock.now + self.random.random() * EVERY_S, n) for n in range(count)]
        heapq.heapify(self._due)
        self._dead: set[int] = set()
        self.skew_s = [0.05 * n for n in range(count)]
        """How far the clock on the wall of each is ahead."""
        self._loop = asyncio.new_event_loop()
        for shared in self._shared:
            self._loop.run_until_complete(shared.exchange())

    def advance(self, to: float) -> None:
        """Let time pass, with the exchanges that fall into it."""
        while self._due[0][0] <= to:
            at, n = heapq.heappop(self._due)
            if n in self._dead:
                continue
            self.clock.now = at
            self._loop.run_until_complete(self._shared[n].exchange())
            heapq.heappush(self._due, (at + EVERY_S * (0.9 + 0.2 * self.random.random()), n))
        self.clock.now = to

    def start(self, n: int) -> None:
        """Put another process in the place of one that was killed."""
        self._dead.discard(n)
        shared = SharedLimits(
            self.limits[n],
            self.state,
            replica=f"another r{n}",
            clock=self.clock,
            wall_clock=self._skewed(n),
        )
        self._shared[n] = shared
        self._loop.run_until_complete(shared.exchange())
        heapq.heappush(self._due, (self.clock.now + EVERY_S, n))

    def kill(self, n: int) -> None:
        """Let a replica vanish with what it holds."""
        self._dead.add(n)

    def close(self) -> None:
        self._loop.close()

    def poisson(
        self, subject: str, *, per_s: float, seconds: float, weights: Sequence[float], tokens: int
    ) -> list[Taken]:
        """Send requests at random moments to replicas of these weights."""
        found: list[Taken] = []
        end = self.clock.now + seconds
        at = self.clock.now + self.random.expovariate(per_s)
        while at < end:
            self.advance(at)
            (limits,) = self.random.choices(self.limits, weights)
            found.append(limits.take([subject], tokens=tokens))
            at += self.random.expovariate(per_s)
        self.advance(end)
        return found

    def _skewed(self, n: int) -> Callable[[], float]:
        return lambda: self.clock.now + self.skew_s[n]
