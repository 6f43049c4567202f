"""How many requests a backend gets at a time."""

import math
from typing import Protocol

_GROWTH, _SHRINKAGE, _OVERLOAD = 1.0, 0.9, 0.75
_PROBE_EVERY = 100
_FIRST_PROBE = 5
"""What was seen first may have been seen under too much load already."""
_SETTLING = 2
"""Windows: one in which what is too much ends, and one of what had waited behind it."""
_LEAST_SAMPLES = 10


class Concurrency(Protocol):
    """Decides the most requests in flight."""

    @property
    def limit(self) -> int: ...

    def completed(self, cost: int, seconds: float, *, in_flight: int) -> None:
        """Note a success; `in_flight` includes it."""
        ...

    def overloaded(self) -> None:
        """Note that the backend refused or timed out."""
        ...


class FixedConcurrency:
    """A limit that somebody knows."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a backend takes at least 1 request at a time, not {limit}")
        self.limit = limit

    def completed(self, cost: int, seconds: float, *, in_flight: int) -> None:
        """Learn nothing."""

    def overloaded(self) -> None:
        """Learn nothing."""


class AdaptiveConcurrency:
    """A limit for a backend of which nothing is known.

    Additive increase, multiplicative decrease (Chiu and Jain, 1989) on the time per token: the
    limit grows while that stays within `tolerance` times the best that was seen, and shrinks when
    it does not or the backend refuses. The best is measured anew after five windows and then each
    hundred, with the limit lowered for three of them (as BBR probes a path's round trip), so a
    backend that became slower for good is not choked for ever. Servers that batch get slower
    per request long before they are full: the tolerance is what one is willing to pay for that.
    Requests that take less than `quick_s` on average are never too slow: there the time is that
    of our own loop rather than of a queue in the backend.
    """

    def __init__(
        self,
        *,
        initial: int = 1,
        least: int = 1,
        most: int = 256,
        tolerance: float = 2.0,
        quick_s: float = 0.0,
    ) -> None:
        if not 1 <= least <= initial <= most or tolerance <= 1:
            raise ValueError(f"not a concurrency: {least} <= {initial} <= {most}, {tolerance}")
        self._least, self._most, self._tolerance = least, most, tolerance
        self._quick_s = quick_s
        self._limit = float(initial)
        self._best: float | None = None
        self._cost = self._seconds = 0.0
        self._samples = 0
        self._busiest = 0
        self._windows = _PROBE_EVERY - _FIRST_PROBE
        self._before_probe = self._limit
        self._pace = 0.0
        """Before the limit was lowered."""

    @property
    def limit(self) -> int:
        return int(self._limit)

    def completed(self, cost: int, seconds: float, *, in_flight: int) -> None:
        """Close a window after as many successes as may be in flight, and move the limit."""
        self._cost += cost
        self._seconds += seconds
        self._samples += 1
        self._busiest = max(self._busiest, in_flight)
        if self._samples < max(self._limit, _LEAST_SAMPLES) or self._cost <= 0:
            return
        quick = self._seconds < self._quick_s * self._samples
        self._adjust(self._seconds / self._cost, quick=quick)
        self._start_window()

    def _adjust(self, pace: float, *, quick: bool) -> None:
        if quick and self._windows < _PROBE_EVERY:
            self._grow(pace)
            return
        self._windows += 1
        if self._windows == _PROBE_EVERY:
            self._before_probe, self._pace = self._limit, pace
            self._move(self._limit / self._tolerance)
        elif self._windows > _PROBE_EVERY + _SETTLING:
            self._end_probe(pace)
        elif self._windows > _PROBE_EVERY:
            pass  # it still holds what began before the limit was lowered
        elif self._best is None or pace <= self._tolerance * self._best:
            self._grow(pace)
        else:
            self._move(self._limit * _SHRINKAGE)

    def _grow(self, pace: float) -> None:
        self._best = pace if self._best is None else min(pace, self._best)
        if self._busiest >= self.limit:  # a limit that is not reached proves nothing
            self._move(self._limit + _GROWTH)

    def _end_probe(self, pace: float) -> None:
        slower = self._best is not None and pace > self._tolerance * self._best
        # Quicker by as much as it got less: part of what it had was only waiting there.
        waited = pace * math.sqrt(self._tolerance) < self._pace
        if (slower or waited) and self.limit > self._least:
            # Slower or smaller than it was: a still lower limit tells which.
            self._windows, self._pace = _PROBE_EVERY, pace
            self._before_probe = self._limit
            self._move(self._limit / self._tolerance)
            return
        self._windows = 0
        self._best = pace
        self._move(self._before_probe)

    def overloaded(self) -> None:
        """Shrink at once, but not twice for what was in flight together."""
        if self._samples or self._busiest == 0:
            self._move(self._limit * _OVERLOAD)
            self._start_window()
            self._busiest = 1

    def _move(self, limit: float) -> None:
        self._limit = min(max(limit, self._least), self._most)

    def _start_window(self) -> None:
        self._cost = self._seconds = 0.0
        self._samples = self._busiest = 0
