"""The quick client: kept connections to one pinned address, for plain HTTP."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass

from lockgate.errors import UpstreamFailed, UpstreamTimeout
from lockgate.upstream.address import Pinned
from lockgate.upstream.connection import Connection
from lockgate.upstream.cork import Cork
from lockgate.upstream.limits import Limits
from lockgate.upstream.reply import Reply
from lockgate.upstream.request import Headers, Request, message, preamble

_SWEEP_S = 0.05
_KEPT_HEADS = 64
_CROSSED_S = 0.1
"""A kept connection that ends so soon after a request was closed before it came there."""


class Pool:
    """Implements `reply.Client`. Belongs to one event loop."""

    def __init__(
        self, pinned: Pinned, *, limits: Limits | None = None, cork: Cork | None = None
    ) -> None:
        self._pinned = pinned
        self._limits = limits or Limits()
        self._cork = cork or Cork()
        self._loop = asyncio.get_running_loop()
        self._free: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._heads: dict[tuple[bytes, bytes, Headers], bytes] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def fetch(self, request: Request) -> Reply:
        """See `Client.fetch`."""
        connection = await self._ask(request, streamed=False)
        reply = connection.reply()
        self._give_back(connection)
        return reply

    async def open(self, request: Request) -> "PooledStream":
        """See `Client.open`."""
        return PooledStream(self, await self._ask(request, streamed=True))

    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(self._was_closed())
        for connection in tuple(self._all):
            connection.fail(self._was_closed(why="truncated"))

    @property
    def open_connections(self) -> int:
        """How many connections there are, free ones included."""
        return len(self._all)

    async def _ask(self, request: Request, *, streamed: bool) -> Connection:
        data = self._encode(request)
        while True:
            connection = self._take() or await self._connect()
            reused = connection.used > 0
            waiter = connection.write(data, streamed=streamed)
            try:
                await waiter
            except UpstreamFailed as failure:
                untouched = reused and not connection.touched
                self._give_back(connection)
                if untouched and request.idempotent:
                    continue  # it was closed while we wrote: nothing was answered
                if untouched and self._loop.time() < connection.since + _CROSSED_S:
                    failure.why = "connect"
                raise
            except BaseException:
                connection.abort()
                self._give_back(connection)
                raise
            return connection

    def _encode(self, request: Request) -> bytes:
        key = (request.method, request.target, request.headers)
        try:
            head = self._heads.get(key)
        except TypeError:  # headers that are no tuple
            head = None
        if head is None:
            head = preamble(self._pinned.host_header, request)
            if len(self._heads) < _KEPT_HEADS and isinstance(request.headers, tuple):
                self._heads[key] = head
        return message(head, request.body)

    def _take(self) -> Connection | None:
        """Return a free connection that still is one, the youngest first."""
        now = self._loop.time()
        while self._free:
            connection = self._free.pop()
            if connection.closed or connection.free_until < now:
                connection.abort()
                self._all.discard(connection)
                continue
            return connection
        return None

    async def _connect(self) -> Connection:
        limits = self._limits
        name = self._pinned.name
        if self._closed:
            raise self._was_closed()
        try:
            async with asyncio.timeout(limits.connect_s):
                while len(self._all) + self._opening >= limits.connections:
                    waiting = self._loop.create_future()
                    self._waiting.append(waiting)
                    try:
                        await waiting
                    except asyncio.CancelledError:
                        if not waiting.cancelled():
                            self._wake_one()  # it was our turn: let the next one have it
                        raise
                    found = self._take()
                    if found is not None:
                        return found
                self._opening += 1
                try:
                    return await self._dial()
                finally:
                    self._opening -= 1
        except TimeoutError:
            raise UpstreamTimeout(
                f"the upstream `{name}` took no connection in {limits.connect_s:g} s",
                hint="check that it runs, or raise its `connections`",
                why="connect",
            ) from None

    async def _dial(self) -> Connection:
        failure: OSError | None = None
        for address in self._pinned.addresses:
            try:
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._pinned.name, self._limits, self._loop, self._cork),
                    address,
                    self._pinned.port,
                )
            except OSError as error:
                failure = error
                continue
            self._all.add(connection)
            self._sweep_later()  # not earlier: a sweep that finds no connection is the last one
            return connection
        raise UpstreamFailed(
            f"the upstream `{self._pinned.name}` cannot be reached: {failure}",
            hint="check that it runs and that its `url` is right",
            why="connect",
        )

    def _give_back(self, connection: Connection) -> None:
        if connection.reusable and not self._closed:
            connection.release(self._loop.time())
            self._free.append(connection)
        else:
            connection.abort()
            self._all.discard(connection)
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                break

    def _was_closed(self, *, why: str = "connect") -> UpstreamFailed:
        return UpstreamFailed(f"the upstream `{self._pinned.name}` was closed", why=why)

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """Give up what is past its time. Runs while there are connections."""
        self._sweeper = None
        now = self._loop.time()
        for connection in tuple(self._all):
            if connection.busy:
                if connection.deadline < now:
                    connection.fail(self._late(connection))
            elif connection.closed or connection.free_until < now:
                connection.abort()
                self._all.discard(connection)
                with contextlib.suppress(ValueError):
                    self._free.remove(connection)
        if self._all:
            self._sweep_later()

    def _late(self, connection: Connection) -> UpstreamTimeout:
        name = self._pinned.name
        limits = self._limits
        if connection.stage == "first byte":
            return UpstreamTimeout(
                f"the upstream `{name}` answered nothing in {limits.first_byte_s:g} s"
            )
        return UpstreamTimeout(
            f"the answer of the upstream `{name}` stalled: nothing in {limits.idle_s:g} s, "
            f"or not whole in {limits.total_s:g} s"
        )


@dataclass(slots=True)
class PooledStream:
    """Implements `reply.Stream`."""

    _pool: Pool
    _connection: Connection
    _done: bool = False

    @property
    def status(self) -> int:
        return self._connection.status

    @property
    def headers(self) -> Headers:
        return self._connection.headers

    async def part(self) -> bytes:
        if self._done:
            return b""
        try:
            data = await self._connection.part()
        except BaseException:
            self.close()
            raise
        if not data:
            self.close()
        return data

    def close(self) -> None:
        if self._done:
            return
        self._done = True
        self._pool._give_back(self._connection)  # noqa: SLF001  its other half
