"""Rate limits as configured, and in step with those of the other replicas."""

import asyncio
import time
from collections.abc import Callable, Mapping

from lockgate.config.gateway_settings import RateLimit
from lockgate.errors import LockgateError
from lockgate.traffic.bucket import Limit
from lockgate.traffic.elsewhere import SharedElsewhere
from lockgate.traffic.rate_limits import Limits, LimitsOf, RateLimits
from lockgate.traffic.shared_limits import SharedLimits

_MINUTE_S = 60.0
_JOIN_S = 0.02
"""Between two tries to join: until then this replica knows of no others."""


class Sharing:
    """Exchanges leases with the other replicas for as long as `run` runs.

    A gateway that is made anew takes it over, and this replica stays the same to the others.
    """

    def __init__(
        self,
        limits: RateLimits,
        shared: SharedElsewhere,
        *,
        replica: str,
        failed: Callable[[LockgateError], None],
    ) -> None:
        """`failed` hears of the first failure in a row."""
        self._shared = SharedLimits(
            limits, shared, replica=replica, clock=time.monotonic, wall_clock=time.time
        )
        self._failed = failed
        self._running = asyncio.Lock()
        self.shared = shared
        self.has_joined = False
        """Whether it ever heard of the others."""

    @property
    def is_up(self) -> bool:
        """Whether the last exchange succeeded. While not, we keep to our part of every limit."""
        return self._shared.connected

    async def run(self) -> None:
        """Work until cancelled. Begins when whoever runs it has ended."""
        async with self._running:
            await self._run()

    async def _run(self) -> None:
        while True:
            was_up = self.is_up
            error = await self._shared.exchange()
            self.has_joined = self.has_joined or error is None
            if error is not None and was_up:
                self._failed(error)
            await asyncio.sleep(self._shared.pause_s if self.has_joined else _JOIN_S)


def rate_limits(settings: Mapping[str, RateLimit]) -> RateLimits | None:
    """Return the limits that the configuration names; None if it names none."""
    if not settings:
        return None
    return RateLimits(limits_by(settings), clock=time.monotonic)


def limits_by(settings: Mapping[str, RateLimit]) -> LimitsOf:
    """Return what finds the limits of a subject."""
    rows = {subject: _limits(row) for subject, row in settings.items()}

    def limits_of(subject: str) -> Limits | None:
        return rows.get(subject) or rows.get(f"{subject.partition(':')[0]}:*")

    return limits_of


def _limits(row: RateLimit) -> Limits:
    return Limits(
        requests=_limit(row.requests_per_minute, row.burst),
        tokens=_limit(row.tokens_per_minute, row.burst),
    )


def _limit(amount: int | None, burst: float) -> Limit | None:
    if amount is None:
        return None
    return Limit(amount=amount, per_s=_MINUTE_S, burst=max(1, round(amount * burst)))
