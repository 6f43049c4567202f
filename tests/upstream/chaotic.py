"""A model server, in a thread, that sends what a test says, and hangs or hangs up after it."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class ChaoticModel:
    says: bytes | Callable[[int], bytes]
    """What is sent for each request, or for that of a number."""
    closes: bool = False
    """Hangs up after it if that is no whole answer; else it waits for the client to do so."""
    closes_after: int = -1
    """The number of a request after which it hangs up."""
    port: int = 0
    asked: int = 0
    open: int = 0
    """Connections."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                self.asked += 1
                said = self.says if isinstance(self.says, bytes) else self.says(self.asked - 1)
                writer.write(said)
                await writer.drain()
                if self.closes or self.asked - 1 == self.closes_after:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self.open -= 1
            writer.close()


@contextmanager
def chaotic_model(
    says: bytes | Callable[[int], bytes], *, closes: bool = False
) -> Generator[ChaoticModel]:
    """Serve until the block ends."""
    loop = asyncio.new_event_loop()
    model = ChaoticModel(says, closes)
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(model.serve, "127.0.0.1", 0)
        model.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield model
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
