"""What replicas share, for the loop that serves: the database is asked on another thread."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

from lockgate.errors import LockgateError, StorageFailed
from lockgate.ports import GatewayState, SharedState
from lockgate.traffic.kill_switch import EVERY_S as KILLS_S
from lockgate.traffic.kill_switch import KillSwitch
from lockgate.traffic.rate_limits import RateLimits
from lockgate.traffic.shared_limits import EVERY_S as LIMITS_S
from lockgate.traffic.shared_limits import SharedLimits

T = TypeVar("T")
_LOG: Final = logging.getLogger("lockgate.gateway")


class SharedBridge:
    """Implements `SharedState` on one loop with a state that belongs to another.

    `job` is for `Background`, on whose thread the state is.
    """

    def __init__(self) -> None:
        self._there: tuple[SharedState, asyncio.AbstractEventLoop] | None = None

    async def job(self, state: GatewayState, stop: asyncio.Event) -> None:
        """Lend the state until the event is set."""
        self._there = (state, asyncio.get_running_loop())
        try:
            await stop.wait()
        finally:
            self._there = None

    async def read(self, name: str) -> str | None:
        return await self._ask(lambda state: state.read(name))

    async def change(self, name: str, change: Callable[[str | None], str]) -> None:
        await self._ask(lambda state: state.change(name, change))

    async def _ask(self, work: Callable[[SharedState], Coroutine[Any, Any, T]]) -> T:
        if self._there is None:
            raise StorageFailed("the database has not answered yet", hint="try again")
        state, loop = self._there
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(state), loop))


@asynccontextmanager
async def following(
    bridge: SharedBridge, limits: RateLimits, *, replica: str
) -> AsyncGenerator[KillSwitch]:
    """Keep limits and the kill switch in step with the other replicas for a block."""
    switch = KillSwitch(bridge)
    shared = SharedLimits(
        limits, bridge, replica=replica, clock=time.monotonic, wall_clock=time.time
    )
    with suppress(LockgateError):  # what is off is known before the first request, if it can be
        await _connected(switch)
    tasks = [
        asyncio.ensure_future(_every(KILLS_S, switch.refresh)),
        asyncio.ensure_future(_every(LIMITS_S, shared.exchange)),
    ]
    try:
        yield switch
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _connected(switch: KillSwitch) -> None:
    """Wait a moment for the database: it opens on its own thread."""
    for _ in range(40):
        try:
            await switch.refresh()
        except StorageFailed:
            await asyncio.sleep(0.05)
        else:
            return
    _LOG.warning("the database does not answer: what is turned off is not known yet")


async def _every(seconds: float, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    failing = False
    while True:
        try:
            problem = await work()
            failed = problem if isinstance(problem, LockgateError) else None
        except LockgateError as error:
            failed = error
        if failed is not None and not failing:
            _LOG.warning("replicas are out of step: %s", failed.message)
        failing = failed is not None
        await asyncio.sleep(seconds)
