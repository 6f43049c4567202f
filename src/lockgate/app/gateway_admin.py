"""The admin API's way to the database: a thread and a connection of its own.

The loop that serves waits for no database, and the thread of the books, which revokes keys within
a second, waits for no sum over a long ledger.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar

from lockgate.app.background import Background, OpenState, running
from lockgate.errors import LockgateError, Overloaded, StorageFailed, Unavailable
from lockgate.ports import GatewayState

T = TypeVar("T")
Work: TypeAlias = Callable[[GatewayState], Coroutine[Any, Any, T]]
TIMEOUT_S: Final = 10.0
MOST: Final = 32
"""Pieces of work at once."""
_RETRY_S = 1.0


class StateBridge:
    """Does work on the database from the serving loop, which never waits for one itself."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S, most: int = MOST) -> None:
        self._timeout_s = timeout_s
        self._most = most
        self._running = 0
        self._opened: tuple[GatewayState, asyncio.AbstractEventLoop] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_open(self) -> bool:
        """Whether the database has answered."""
        return self._opened is not None

    async def follow(self, state: GatewayState, stop: asyncio.Event) -> None:
        """Take work until `stop`: a job for `Background`."""
        self._opened = (state, asyncio.get_running_loop())
        try:
            await stop.wait()
        finally:
            self._opened = None
            # Whoever closes the database does so after this.
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def do(self, work: Work[T]) -> T:
        """Return what `work` returns. Cancelled, it is cancelled, and its transaction undone.

        Raises:
            Unavailable: the database has not answered yet.
            Overloaded: too much other work is being done.
            StorageFailed: it took too long; whether it was done is not known.
            LockgateError: what `work` raises.

        """
        if self._opened is None:
            raise Unavailable("the database has not answered yet", hint="try again")
        if self._running >= self._most:
            raise Overloaded(
                f"{self._running} requests to the database run, the most is {self._most}",
                retry_after_s=_RETRY_S,
            )
        state, loop = self._opened
        self._running += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                done = asyncio.run_coroutine_threadsafe(self._work(work, state), loop)
                return await asyncio.wrap_future(done)
        except TimeoutError:
            raise StorageFailed(
                f"the database did not answer in {self._timeout_s:.0f} s",
                hint="a change may have been made: look before you try again",
            ) from None
        finally:
            self._running -= 1

    async def _work(self, work: Work[T], state: GatewayState) -> T:
        task = asyncio.current_task()
        assert task is not None, "it runs in a task"
        self._tasks.add(task)
        try:
            return await work(state)
        finally:
            self._tasks.discard(task)


@contextmanager
def open_bridge(
    open_state: OpenState, *, failed: Callable[[LockgateError], None]
) -> Generator[StateBridge]:
    """Open a bridge for the length of a block. `failed` is called on its thread."""
    bridge = StateBridge()
    with running(Background(open_state, [bridge.follow], failed=failed, name="lockgate-admin")):
        yield bridge
