"""A raw TCP server on loopback that says exactly what a test tells it to."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lockgate.upstream.address import pin
from lockgate.upstream.limits import Limits
from lockgate.upstream.pool import Pool

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list[bytes])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request, and keep it."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        whole = head + await reader.readexactly(length)
        self.requests.append(whole)
        self.asked.set()
        return whole


@asynccontextmanager
async def listening(
    script: Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncGenerator[Server]:
    """Run `script` for each connection."""
    state = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        try:
            await script(state, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            state.hung_up.set()
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()


@asynccontextmanager
async def pool_to(server: Server, limits: Limits | None = None) -> AsyncGenerator[Pool]:
    pool = Pool(pin("model", f"http://127.0.0.1:{server.port}/v1"), limits=limits)
    try:
        yield pool
    finally:
        await pool.close()


def says(
    *answers: bytes, close: bool = False
) -> Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Give these answers to the requests of a connection, in turn; then hang up or wait."""

    async def script(
        state: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for answer in answers:
            await state.request(reader)
            writer.write(answer)
            await writer.drain()
        if not close:
            await reader.read()
            state.hung_up.set()

    return script
