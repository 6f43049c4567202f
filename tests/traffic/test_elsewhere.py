import asyncio
import threading
from collections.abc import Callable

import pytest

from lockgate.errors import StorageFailed
from lockgate.traffic.elsewhere import SharedElsewhere
from lockgate.traffic.memory import MemoryState


class Noting(MemoryState):
    """Notes the threads that use it."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    async def change(self, name: str, change: Callable[[str | None], str]) -> None:
        def noting(before: str | None) -> str:
            self.threads.add(threading.current_thread().name)
            return change(before)

        await super().change(name, noting)


def test_another_threads_state_is_used_on_that_thread_until_it_stops() -> None:
    shared, state = SharedElsewhere(), Noting()
    ready, box = threading.Event(), list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    async def serve() -> None:
        stop = asyncio.Event()
        box.append((asyncio.get_running_loop(), stop))
        asyncio.get_running_loop().call_soon(ready.set)
        await shared.serve(state, stop)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="books")
    thread.start()
    ready.wait(10)

    async def use() -> None:
        await shared.change("n", lambda before: f"{before}!")
        assert await shared.read("n") == "None!"

    asyncio.run(use())
    assert state.threads == {"books"}
    loop, stop = box[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    with pytest.raises(StorageFailed, match="not open"):
        asyncio.run(use())
