"""Keeps the rate limits of one replica in step with the others."""

import asyncio
from collections.abc import Callable

from lockgate.errors import LockgateError, StorageFailed
from lockgate.ports import SharedState
from lockgate.traffic.bucket import Bucket
from lockgate.traffic.leases import Outcome, Report, exchange
from lockgate.traffic.rate_limits import RateLimits

STATE = "rate-limits.1"
EVERY_S = 0.25
IDLE_S = 3.0
_MOST_BUSY = 0.05
"""Of the time, at most, exchanges may take: with thousands of subjects they get rarer."""
_PATIENCE_S = 2.0


class SharedLimits:
    """Exchanges leases with the other replicas: call `exchange`, wait `pause_s`, and again.

    To be used on the thread of the limits; the shared state may be elsewhere. While the store is
    away each replica keeps to its part of every limit, and asks again at the next call.
    """

    def __init__(
        self,
        limits: RateLimits,
        shared: SharedState,
        *,
        replica: str,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        every_s: float = EVERY_S,
    ) -> None:
        """`clock` is the limits' own; `wall_clock` gives seconds that other hosts agree on.

        The latter is asked until the first exchange only. From then on the time that all share
        goes on by what passes on `clock`: a clock that is wrong, or is put right, changes nothing.
        """
        self._limits = limits
        self._shared = shared
        self._replica = replica
        self._clock = clock
        self._wall_clock = wall_clock
        self._every_s = every_s
        self._active: dict[str, float] = {}
        self.connected = False
        """Whether the last exchange succeeded."""
        self.pause_s = every_s
        """Seconds to wait before the next exchange."""
        self._parted = False
        self._leaving: list[str] = []
        self._heard: tuple[float, float] | None = None
        """The shared time of the last exchange, and when that was on our own clock."""

    async def exchange(self) -> LockgateError | None:
        """Report what was spent and take over what is granted; return why it failed if it did.

        Cancelled, it ends first: the store may have the report already, and what is not taken
        over would be reported again.
        """
        working = asyncio.ensure_future(self._exchange())
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await working
            raise

    async def _exchange(self) -> LockgateError | None:
        reports, spoken_for = self._reports()
        outcomes: list[tuple[Outcome, float]] = []

        def change(document: str | None) -> str:
            began = self._clock()
            outcome = exchange(document, self._replica, reports, self._shared_time(began))
            outcomes.append((outcome, began))
            busy_s = self._clock() - began
            self.pause_s = max(self._every_s, min(busy_s / _MOST_BUSY, IDLE_S))
            return outcome.document

        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._shared.change(STATE, change)
        except LockgateError as error:
            self._part()
            return error
        except TimeoutError:
            self._part()
            return StorageFailed(f"the shared limits did not answer in {_PATIENCE_S:g} s")
        outcome, began = outcomes[-1]
        self._heard = (outcome.now, began)
        self._take_over(outcome, spoken_for)
        return None

    def _shared_time(self, now: float) -> float:
        if self._heard is None:
            return self._wall_clock()
        shared, at = self._heard
        return shared + now - at

    def _reports(self) -> tuple[list[Report], dict[str, tuple[Bucket, float]]]:
        now = self._clock()
        touched, self._limits.touched = self._limits.touched, set()
        self._active.update(dict.fromkeys(touched, now))
        reports: list[Report] = []
        spoken_for: dict[str, tuple[Bucket, float]] = {}
        self._leaving = [s for s, at in self._active.items() if now - at >= IDLE_S]
        for subject, at in self._active.items():
            for bucket in self._limits.buckets.get(subject, ()):
                if not bucket.shared and self._parted:
                    # What passed while the store was away was this replica's part: no debt.
                    bucket.spent = 0.0
                name = f"{subject} {'tokens' if bucket.counts_tokens else 'requests'}"
                spoken_for[name] = (bucket, bucket.spent)
                reports.append(_report(name, bucket, leaving=now - at >= IDLE_S))
                bucket.wanted = bucket.largest = 0.0
        return reports, spoken_for

    def _take_over(self, outcome: Outcome, spoken_for: dict[str, tuple[Bucket, float]]) -> None:
        due = self._clock() + self.pause_s
        self.connected, self._parted = True, False
        self._limits.share(outcome.replicas, due=due)
        for grant in outcome.grants:
            bucket, reported = spoken_for[grant.bucket]
            bucket.spent -= reported
            bucket.grant(grant.held, spare=grant.spare, elsewhere=grant.elsewhere, due=due)
        # One that came back while the store was asked stays.
        gone = [subject for subject in self._leaving if subject not in self._limits.touched]
        self._limits.forget(gone)
        for subject in gone:
            del self._active[subject]

    def _part(self) -> None:
        if self.connected:
            self.connected, self._parted = False, True
            self._limits.part()


def _report(name: str, bucket: Bucket, *, leaving: bool) -> Report:
    return Report(
        bucket=name,
        rate=bucket.limit.rate,
        burst=bucket.limit.burst,
        spent=bucket.spent,
        wanted=bucket.wanted if bucket.shared else max(0.0, bucket.spent),
        largest=bucket.largest,
        leaving=leaving,
    )
