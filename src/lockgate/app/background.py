"""A thread with its own event loop and its own connection to the database.

The thread that answers requests never waits for a database: what needs one is done here.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, TypeAlias

from lockgate.errors import LockgateError
from lockgate.ports import GatewayState

Job: TypeAlias = Callable[[GatewayState, asyncio.Event], Coroutine[Any, Any, None]]
"""Works until the event is set. Lives through failures of the database."""
OpenState: TypeAlias = Callable[[], AbstractAsyncContextManager[GatewayState]]

_RETRY_S: Final = 0.5
_LAST_S: Final = 3.0
"""From the end of the first job to that of the others."""


class Background:
    """Opens the database, as soon as it answers, and runs the jobs beside each other."""

    def __init__(
        self,
        open_state: OpenState,
        jobs: Sequence[Job],
        *,
        failed: Callable[[LockgateError], None],
        name: str = "lockgate-books",
    ) -> None:
        self._open_state = open_state
        self._jobs = jobs
        self._failed = failed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; return when the thread runs, whether or not the database answers."""
        self._thread.start()
        self._started.wait()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Let the jobs end, and wait; say whether they did. The first may take its time."""
        assert self._loop is not None
        assert self._stop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        while not self._stop.is_set():
            try:
                async with self._open_state() as state:
                    await self._work(state, self._stop)
            except LockgateError as error:
                self._failed(error)
            await until(self._stop, _RETRY_S)

    async def _work(self, state: GatewayState, stop: asyncio.Event) -> None:
        """Run the jobs until one fails, or all have ended; raise what the first of them raised.

        Told to stop, the first job gets the time that it takes. The others only read: they are
        given up soon after it, since a database that hangs would hold them for ever.
        """
        working = [asyncio.ensure_future(job(state, stop)) for job in self._jobs]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            left = {stopping, *working}
            while stopping in left and len(left) > 1 and not any(map(_has_failed, working)):
                _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done() and not any(map(_has_failed, working)):
                await asyncio.wait(working[:1])
                await asyncio.wait(working, timeout=_LAST_S)
        finally:
            for one in (stopping, *working):
                one.cancel()
            await asyncio.wait({stopping, *working})
        for one in working:
            if _has_failed(one):
                one.result()


def _has_failed(job: "asyncio.Future[None]") -> bool:
    return job.done() and not job.cancelled() and job.exception() is not None


@contextmanager
def running(background: Background) -> Generator[None]:
    """Run in the background for the length of a block."""
    background.start()
    try:
        yield
    finally:
        background.stop()


async def until(stop: asyncio.Event, seconds: float) -> None:
    """Wait some seconds, or less if `stop` is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
