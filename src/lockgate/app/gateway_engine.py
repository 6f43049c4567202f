"""The engine in a thread of its own, with its own event loop and its own database connection.

A task computes for seconds between two awaits, and its audit event is written with `fsync`: on the
loop that serves requests, either would hold up every open stream.
"""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from lockgate.app.billing import Billing
from lockgate.app.engine import Engine, open_engine
from lockgate.app.gateway_backends import ControlledBackends
from lockgate.app.gateway_controls import Switch
from lockgate.app.gateway_observed import (
    ObservedBackends,
    ObservedPlans,
    Observer,
    observed_retrieving,
)
from lockgate.app.gateway_switch import SwitchedBackends
from lockgate.app.progress import Quiet
from lockgate.app.running_releases import RunningReleases
from lockgate.app.task_billing import Payer, TaskBilling, TimedBackends, billed
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.config.settings import Config, OpenAIBackend
from lockgate.domain.call import Answer, Call
from lockgate.engine.answer import Answering

_STOP_S = 60.0


@dataclass(slots=True)
class _Opened:
    engine: Engine
    answering: Answering
    """The engine's, with what the kill switch says of models."""
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event


class EngineRoom:
    """Answers calls of tasks."""

    def __init__(self, loaded: Loaded, environment: Environment, switch: Switch) -> None:
        self._loaded = loaded
        self._switch = switch
        self._environment = environment
        self._destinations = _destinations(loaded.config)
        self._ready: Future[_Opened] = Future()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._opened: _Opened | None = None
        self._billing: TaskBilling | None = None
        self._running: set[asyncio.Task[Answer]] = set()
        """In the engine's loop."""

    async def start(self) -> Engine:
        """Open the engine, and return it. Its database belongs to the other thread.

        Raises:
            LockgateError: whatever `open_engine` raises.

        """
        self._thread.start()
        self._opened = await asyncio.wrap_future(self._ready)
        return self._opened.engine

    @property
    def releases(self) -> RunningReleases:
        """What was promoted to this environment. Once it has started."""
        assert self._opened is not None, "the room is open"
        return self._opened.engine.releases

    def bill(self, billing: Billing | None) -> None:
        """Charge the calls from now on; None: they are free. On the loop that borrows the money."""
        if billing is None:
            return

        def is_local(backend: str) -> bool:
            return not isinstance(self._loaded.config.backend(backend), OpenAIBackend)

        loop = asyncio.get_running_loop()
        self._billing = TaskBilling(billing, loop, is_local=is_local)

    async def answer(self, call: Call, payer: Payer, observer: Observer | None = None) -> Answer:
        """Answer one call of a task; cancelled, the call is cancelled too. As the engine's.

        `observer` gets to know what models did for it.
        """
        opened = self._opened
        assert opened is not None, "the room is open"
        room = opened.answering
        if observer is not None:
            room = _observed(room, observer, self._destinations)
        if self._billing is not None:
            room = replace(
                room, inferring=billed(room.inferring, self._billing, payer, observer or Observer())
            )
        answering = self._watched(room.answer(call, Quiet()))
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answering, opened.loop))

    async def _watched(self, answering: Coroutine[Any, Any, Answer]) -> Answer:
        task = asyncio.current_task()
        assert task is not None, "it runs in a task of the engine's loop"
        self._running.add(task)
        try:
            return await answering
        finally:
            self._running.discard(task)

    async def stop(self) -> None:
        """Close the engine; calls that run are cancelled. Does nothing the second time."""
        if self._opened is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # it may end by itself at this moment
                self._opened.loop.call_soon_threadsafe(self._opened.stop.set)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, _STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
                return
            raise

    async def _main(self) -> None:
        stop = asyncio.Event()
        async with open_engine(self._loaded, self._environment, unpacks=True) as engine:
            inferring = engine.answering.inferring
            timed = TimedBackends(inferring.backends)
            controlled = ControlledBackends(timed, self._loaded.config)
            backends = SwitchedBackends(controlled, self._switch)
            answering = replace(engine.answering, inferring=replace(inferring, backends=backends))
            self._ready.set_result(_Opened(engine, answering, asyncio.get_running_loop(), stop))
            await stop.wait()
            running = tuple(self._running)
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)  # each is in the audit log before the database closes


def _observed(
    answering: Answering, observer: Observer, destinations: Mapping[str, str]
) -> Answering:
    """Return the same engine for one call that is watched."""
    inferring = answering.inferring
    backends = ObservedBackends(inferring.backends, observer, destinations)
    return replace(
        answering,
        plans=ObservedPlans(answering.plans, observer),
        retrieving=observed_retrieving(answering.retrieving, observer),
        inferring=replace(inferring, backends=backends),
    )


def _destinations(config: Config) -> dict[str, str]:
    """Return the host of each server, and its port where the configuration has one, for spans."""
    servers = {n: b.url for n, b in config.backends.items() if isinstance(b, OpenAIBackend)}
    return {name: _authority(url) for name, url in servers.items()}


def _authority(url: str) -> str:
    # Not `urlsplit`, which raises for what is none: that is said with its place, later.
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]
