"""A circuit breaker for one upstream: it stops calls that would fail anyway."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

_SLOTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When to stop calling an upstream, and when to try again."""

    failure_rate: float = 0.35
    """Share of failed calls that opens it. Well below a half, so that an upstream that fails every
    second call is found out by few calls."""
    slow_rate: float = 0.8
    """Share of slow calls that opens it."""
    slow_s: float = 30.0
    """A call that took longer is slow."""
    window_s: float = 0.8
    """The calls of the last so many seconds count."""
    least_calls: int = 10
    """Fewer calls in the window say nothing."""
    open_s: float = 1.0
    """Pause before the first probe. Doubles with each probe that fails, up to `longest_open_s`."""
    longest_open_s: float = 4.0
    probes: int = 3
    """Probes at a time, and successes in a row that close it."""
    probe_timeout_s: float = 60.0
    """A probe that was not heard of for so long no longer takes a place."""

    def __post_init__(self) -> None:
        rates = (self.failure_rate, self.slow_rate)
        times = (self.slow_s, self.window_s, self.open_s, self.probe_timeout_s)
        if not all(0 < rate <= 1 for rate in rates) or min(times) <= 0:
            raise ValueError(f"not a breaker: {self}")
        if min(self.least_calls, self.probes) < 1 or self.longest_open_s < self.open_s:
            raise ValueError(f"not a breaker: {self}")


class BreakerState(StrEnum):
    """CLOSED lets calls through, OPEN none, HALF_OPEN a few probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Counts how calls end. After `allow` said yes, call `record`, or `forget` if it was cancelled.

    Used from one thread. `clock` gives monotonic seconds.
    """

    def __init__(self, settings: BreakerSettings, *, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._state = BreakerState.CLOSED
        self._since = clock()
        self._pause_s = settings.open_s
        self._probes: list[float] = []
        self._successes = 0
        self._slots = [[0, 0, 0] for _ in range(_SLOTS)]
        self._sums = [0, 0, 0]
        self._slot = 0
        self._slot_s = settings.window_s / _SLOTS

    @property
    def state(self) -> BreakerState:
        """What it does now."""
        if self._state is BreakerState.OPEN and self.retry_after_s == 0:
            return BreakerState.HALF_OPEN
        return self._state

    @property
    def slow_s(self) -> float:
        """A call that took longer is slow."""
        return self._settings.slow_s

    @property
    def retry_after_s(self) -> float:
        """Seconds until the next call may be tried; 0 unless open."""
        if self._state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self._since + self._pause_s - self._clock())

    def allow(self) -> bool:
        """Say whether a call may go out now."""
        if self._state is BreakerState.CLOSED:
            return True
        now = self._clock()
        if self._state is BreakerState.OPEN:
            if now < self._since + self._pause_s:
                return False
            self._become(BreakerState.HALF_OPEN, now)
        timeout_s = self._settings.probe_timeout_s
        self._probes = [at for at in self._probes if now - at < timeout_s]
        if len(self._probes) >= self._settings.probes:
            return False
        self._probes.append(now)
        return True

    def record(self, ok: bool, seconds: float) -> None:  # noqa: FBT001  the room's shared interface
        """Note how a call ended, and how long it took."""
        now = self._clock()
        slow = seconds > self._settings.slow_s
        if self._state is BreakerState.CLOSED:
            self._count(now, failed=not ok, slow=slow)
            return
        if self._state is BreakerState.OPEN or now - seconds < self._since:
            return  # it began before the upstream was given a rest: that is known already
        self._end_probe()
        if not ok or slow:
            self._pause_s = min(2 * self._pause_s, self._settings.longest_open_s)
            self._become(BreakerState.OPEN, now)
            return
        self._successes += 1
        if self._successes >= self._settings.probes:
            self._pause_s = self._settings.open_s
            self._become(BreakerState.CLOSED, now)

    def forget(self) -> None:
        """Note that a call was cancelled: it says nothing of the upstream."""
        if self._state is BreakerState.HALF_OPEN:
            self._end_probe()

    def _end_probe(self) -> None:
        if self._probes:
            self._probes.pop(0)

    def _become(self, state: BreakerState, now: float) -> None:
        self._state, self._since = state, now
        self._probes.clear()
        self._successes = 0
        self._slots = [[0, 0, 0] for _ in range(_SLOTS)]
        self._sums = [0, 0, 0]
        self._slot = int(now / self._slot_s)

    def _count(self, now: float, *, failed: bool, slow: bool) -> None:
        slot = int(now / self._slot_s)
        if slot > self._slot:
            self._expire(slot)
        counts, sums = self._slots[slot % _SLOTS], self._sums
        counts[0] += 1
        sums[0] += 1
        if failed:
            counts[1] += 1
            sums[1] += 1
        if slow:
            counts[2] += 1
            sums[2] += 1
        if not failed and not slow:
            return
        settings = self._settings
        total = sums[0]
        if total >= settings.least_calls and (
            sums[1] >= settings.failure_rate * total or sums[2] >= settings.slow_rate * total
        ):
            self._become(BreakerState.OPEN, now)

    def _expire(self, slot: int) -> None:
        for passed in range(self._slot + 1, min(slot, self._slot + _SLOTS) + 1):
            old = self._slots[passed % _SLOTS]
            for n in range(3):
                self._sums[n] -= old[n]
                old[n] = 0
        self._slot = slot
