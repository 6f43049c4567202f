"""What stands between a caller and a model: limits, the kill switch, books, breakers, retries."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lockgate.app.background import Job, until
from lockgate.app.billing import Billing
from lockgate.app.gateway_limits import Sharing
from lockgate.app.gateway_queues import Urgencies
from lockgate.app.guards import pipeline_of
from lockgate.config.gateway_settings import ServerSettings
from lockgate.config.guard_settings import GuardSettings
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action
from lockgate.errors import LockgateError
from lockgate.guards.pipeline import Pipeline
from lockgate.ports import GatewayState
from lockgate.traffic.breaker import Breaker, BreakerSettings
from lockgate.traffic.kill_switch import EVERY_S, Kills, KillSwitch
from lockgate.traffic.queue import Queue
from lockgate.traffic.rate_limits import RateLimits
from lockgate.traffic.retry_budget import RetryBudget
from lockgate.upstream.cache import ExactCache
from lockgate.upstream.cork import Cork


class Switch:
    """What is turned off, as this replica knows it. Replaced whole by the job that follows."""

    def __init__(self) -> None:
        self.now = Kills()
        self.is_up = True
        """Whether it was read at the last try."""

    def follow(self, failed: Callable[[LockgateError], None]) -> Job:
        """Return the job that reads the shared switch."""

        async def work(state: GatewayState, stop: asyncio.Event) -> None:
            switch = KillSwitch(state)
            while not stop.is_set():
                try:
                    self.now = await switch.refresh()
                    self.is_up = True
                except LockgateError as error:
                    self.is_up = False
                    failed(error)
                await until(stop, EVERY_S)

        return work


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The guards, and which data classes they have something to look for in."""

    pipeline: Pipeline
    inputs: frozenset[DataClass]
    outputs: frozenset[DataClass]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a long request is looked through."""


def guards(settings: GuardSettings) -> Guards:
    """Return the guards that the configuration asks for.

    Raises:
        InvalidConfig: a rule fails one of its own examples, or the settings name none that is.

    """

    def on(*actions: Action) -> bool:
        return any(action is not Action.OFF for action in actions)

    rows = {data_class: settings.of(data_class) for data_class in DataClass}
    return Guards(
        pipeline=pipeline_of(settings),
        inputs=frozenset(
            c for c, row in rows.items() if on(row.secrets, row.personal, row.injection)
        ),
        outputs=frozenset(
            c
            for c, row in rows.items()
            if on(row.secrets, row.personal, row.links, row.profanity)
            or (settings.canaries and on(row.canary))
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The controls of one gateway. What is None is not configured."""

    limits: RateLimits | None = None
    sharing: Sharing | None = None
    switch: Switch = field(default_factory=Switch)
    billing: Billing | None = None
    breakers: Mapping[str, Breaker] = field(default_factory=dict)
    """By upstream."""
    queues: Mapping[str, Queue] = field(default_factory=dict[str, Queue])
    """By backend."""
    urgencies: Urgencies = field(default_factory=Urgencies)
    retries: RetryBudget = field(default_factory=RetryBudget)
    cache: ExactCache | None = None
    guards: Guards | None = None
    cork: Cork = field(default_factory=Cork)
    """What upstreams and the edge write through."""


def breakers(upstreams: Mapping[str, float]) -> dict[str, Breaker]:
    """Return a breaker for each upstream; the value is after how many seconds a call is slow."""
    return {
        name: Breaker(BreakerSettings(slow_s=slow_s), clock=time.monotonic)
        for name, slow_s in upstreams.items()
    }


def exact_cache(settings: ServerSettings) -> ExactCache | None:
    """Return the cache that the configuration asks for."""
    chosen = settings.cache
    if not chosen.ttl_s:
        return None
    return ExactCache(ttl_s=chosen.ttl_s, most_bytes=chosen.megabytes << 20, clock=time.monotonic)
