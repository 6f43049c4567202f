"""Shared state behind another thread: the loop that answers requests opens no database."""

import asyncio
from collections.abc import Callable

from lockgate.errors import StorageFailed
from lockgate.ports import SharedState


class SharedElsewhere:
    """Implements `ports.SharedState` for one loop with what `serve` holds open on another.

    `change` runs its function over there. Of several that serve, the newest is asked.
    """

    def __init__(self) -> None:
        self._homes: list[tuple[asyncio.AbstractEventLoop, SharedState]] = []

    async def serve(self, state: SharedState, stop: asyncio.Event) -> None:
        """Lend `state`, which belongs to the running loop, until `stop` is set."""
        home = (asyncio.get_running_loop(), state)
        self._homes.append(home)
        try:
            await stop.wait()
        finally:
            self._homes.remove(home)

    async def read(self, name: str) -> str | None:
        loop, state = self._there()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(state.read(name), loop))

    async def change(self, name: str, change: Callable[[str | None], str]) -> None:
        loop, state = self._there()
        work = state.change(name, change)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    def _there(self) -> tuple[asyncio.AbstractEventLoop, SharedState]:
        for home in reversed(tuple(self._homes)):
            if not home[0].is_closed():
                return home
        raise StorageFailed("the database is not open", hint="see the log of the gateway")
