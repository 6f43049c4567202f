"""The engine in a thread of its own, with its own event loop and its own database connection.

A task computes for seconds between two awaits, and the audit log is written with `fsync`: on the
loop that serves requests, either would hold up every open stream.
"""

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

from lockgate.app.engine import Engine, open_engine
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.audit import Entry
from lockgate.domain.call import Answer, Call
from lockgate.domain.digest import JsonObject
from lockgate.errors import StorageFailed, Unavailable
from lockgate.ports import Store

MAX_WAITING = 100_000
"""Audit events that may wait for the database: a minute of it being away."""
BATCH = 512
_GATHER_S = 0.05
_RETRY_S = 0.5
_STOP_S = 60.0


class _Silence:
    """Draws no progress; implements `ports.Progress`."""

    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...


@dataclass(slots=True)
class _Opened:
    engine: Engine
    loop: asyncio.AbstractEventLoop


class EngineRoom:
    """Answers calls of tasks, and writes audit events in groups. Implements `AuditSink`."""

    def __init__(self, loaded: Loaded, environment: Environment) -> None:
        self._loaded = loaded
        self._environment = environment
        self._ready: Future[_Opened] = Future()
        self._waiting: deque[Entry] = deque()
        self._stopping = threading.Event()
        self._woken = False
        self._wake: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._opened: _Opened | None = None

    async def start(self) -> Engine:
        """Open the engine, and return it. Its database belongs to the other thread.

        Raises:
            LockgateError: whatever `open_engine` raises.

        """
        self._thread.start()
        self._opened = await asyncio.wrap_future(self._ready)
        return self._opened.engine

    async def answer(self, call: Call) -> Answer:
        """Answer one call of a task; cancelled, the call is cancelled too. As the engine's."""
        opened = self._opened
        assert opened is not None, "the room is open"
        answering = opened.engine.answering.answer(call, _Silence())
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answering, opened.loop))

    def refuse_if_full(self) -> None:
        """See `AuditSink.refuse_if_full`."""
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable(
                f"{MAX_WAITING} audit events wait to be written",
                hint="look after the database: calls that cannot be recorded are refused",
            )

    def note(self, call: str, actor: str, subject: str, detail: JsonObject) -> None:
        """See `AuditSink.note`."""
        self._waiting.append(
            Entry(
                id=call,
                at=datetime.now(UTC),
                actor=actor,
                action="call",
                subject=subject,
                detail=detail,
            )
        )
        if not self._woken and self._opened is not None:
            self._woken = True
            self._opened.loop.call_soon_threadsafe(self._stir)

    @property
    def behind(self) -> int:
        """How many audit events wait to be written."""
        return len(self._waiting)

    async def stop(self) -> None:
        """Write what waits, and close the engine."""
        self._stopping.set()
        if self._opened is not None:
            self._opened.loop.call_soon_threadsafe(self._stir)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, _STOP_S)

    def _stir(self) -> None:
        assert self._wake is not None, "the loop runs"
        self._wake.set()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
                return
            raise

    async def _main(self) -> None:
        self._wake = asyncio.Event()
        async with open_engine(self._loaded, self._environment) as engine:
            self._ready.set_result(_Opened(engine, asyncio.get_running_loop()))
            while not self._stopping.is_set() or self._waiting:
                await self._wake.wait()
                self._wake.clear()
                if not self._stopping.is_set():
                    await asyncio.sleep(_GATHER_S)
                self._woken = False
                await self._write(engine.store)

    async def _write(self, store: Store) -> None:
        """Write all that waits; while the database is away, try again until it is back."""
        assert self._wake is not None, "the loop runs"
        while self._waiting:
            batch = [self._waiting[i] for i in range(min(BATCH, len(self._waiting)))]
            try:
                async with store.begin() as unit:
                    for entry in batch:
                        await unit.append(entry)
            except StorageFailed:
                if self._stopping.is_set():
                    self._wake.set()
                    raise
                await asyncio.sleep(_RETRY_S)
                continue
            for _ in batch:
                self._waiting.popleft()
            await asyncio.sleep(0)
