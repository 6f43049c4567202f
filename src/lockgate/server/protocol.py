"""HTTP/1.1 between uvicorn's sockets and the application.

uvicorn's own protocol bounds neither the size of a head nor the time that a client takes to send
one. This one does, cancels a request's task as soon as its client is gone, and costs less. It is
handed to uvicorn as its `http` class; the application stays plain ASGI.
"""

import asyncio
import http
from dataclasses import dataclass, field
from typing import Any

import httptools

from lockgate.server.cycle import ASGI, Cycle, refusal
from lockgate.server.heads import problem_of
from lockgate.upstream.cork import Cork

_SWEEP_S = 0.25
_NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """What a client may take. Seconds and bytes."""

    head_bytes: int = 32 << 10
    headers: int = 100
    head_s: float = 10.0
    """From the first byte of a request, or from connecting, to the end of its head."""
    body_s: float = 30.0
    """From the head to the end of the body."""
    keep_alive_s: float = 75.0
    write_s: float = 60.0
    """How long a client may leave what was sent unread."""
    connections: int = 10_000
    held_body_bytes: int = 64 << 10
    """Of a body that the application has not asked for; reading pauses above it."""


@dataclass(slots=True)
class Edge:
    """Makes protocols, and closes those that are past their time."""

    limits: EdgeLimits = field(default_factory=EdgeLimits)
    app: ASGI | None = None
    """What answers requests that begin from now on; None: what uvicorn was given."""
    cork: Cork = field(default_factory=Cork)
    """The one that the upstreams of the application have."""
    open: set["HttpProtocol"] = field(default_factory=set["HttpProtocol"])
    _sweeper: asyncio.TimerHandle | None = None

    def __call__(
        self,
        config: Any,
        server_state: Any,
        app_state: Any,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "HttpProtocol":
        """Return the protocol of one connection; uvicorn calls this."""
        loop = _loop or asyncio.get_running_loop()
        if self.app is None:
            self.app = config.loaded_app
        return HttpProtocol(self, server_state, loop)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look after deadlines while there are connections."""
        if self._sweeper is None:
            self._sweeper = loop.call_later(_SWEEP_S, self._sweep, loop)

    def make_room(self, newest: "HttpProtocol") -> None:
        """Close a connection that waits for nothing, or refuse the newest.

        Whoever opens as many as there may be and leaves them idle keeps nobody out.
        """
        for protocol in self.open:
            if protocol is not newest and protocol.is_idle:
                self.cork.flush()
                protocol.transport.close()
                return
        newest.refuse(503, "too many connections")

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeper = None
        now = loop.time()
        for protocol in tuple(self.open):
            if protocol.deadline < now:
                protocol.expire()
        if self.open:
            self.watch(loop)


class HttpProtocol(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, edge: Edge, state: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._edge = edge
        self._limits = edge.limits
        self._state = state
        self.loop = loop
        self.cork = edge.cork
        self._parser = httptools.HttpRequestParser(self)
        self.transport: Any = None
        self.deadline = _NEVER
        self.cycle: Cycle | None = None
        self.drained: asyncio.Future[None] | None = None
        self._client: tuple[str, int] | None = None
        self._server: tuple[str, int] | None = None
        self._secure = False
        self._stopping = False
        self._ignoring = False
        self._paused = False
        self._defaults: list[tuple[bytes, bytes]] = []
        self._default_lines = b""
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._size = 0
        self._in_head = False
        self._framing = 0
        self._body_at = 0

    # What the event loop calls.

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._edge.open.add(self)
        self._state.connections.add(self)
        self._client = _peer(transport.get_extra_info("peername"))
        self._server = _peer(transport.get_extra_info("sockname"))
        self._secure = transport.get_extra_info("sslcontext") is not None
        self.deadline = self.loop.time() + self._limits.head_s
        self._edge.watch(self.loop)
        if len(self._edge.open) > self._limits.connections:
            self._edge.make_room(self)

    def data_received(self, data: bytes) -> None:
        if self._ignoring:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.refuse(400, "upgrades are not supported")
        except httptools.HttpParserError:
            self.refuse(400, "the request is not valid HTTP/1.1")
        else:
            if self._in_head:
                self._size += len(data)
                if self._size > self._limits.head_bytes:
                    self.refuse(431, "the request's head is too long")
            elif self.cycle is not None and not self.cycle.body_ended:
                self._weigh_framing(self.cycle, len(data))

    def eof_received(self) -> None:
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._edge.open.discard(self)
        self._state.connections.discard(self)
        self._ignoring = True
        self.deadline = _NEVER
        if self.drained is not None and not self.drained.done():
            self.drained.set_result(None)
        if self.cycle is not None:
            self.cycle.disconnect()

    def pause_writing(self) -> None:
        if self.drained is None:
            self.drained = self.loop.create_future()
            self.deadline = self.loop.time() + self._limits.write_s

    def resume_writing(self) -> None:
        if self.drained is not None:
            if not self.drained.done():
                self.drained.set_result(None)
            self.drained = None
            if self.transport.is_closing():
                self.deadline = self.loop.time() + self._limits.write_s
            elif self.cycle is None:
                self.deadline = self.loop.time() + self._limits.keep_alive_s
            else:
                self.deadline = _NEVER

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered, and none is on its way out."""
        return self.cycle is None and not self._in_head and not self.transport.is_closing()

    # What uvicorn calls.

    def shutdown(self) -> None:
        """Close now if idle, else after the answer that is being made."""
        self._stopping = True
        if self.cycle is None:
            self.cork.flush()
            self.transport.close()
        else:
            self.cycle.keep = False

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self.cycle is not None and self.cycle.lets_go:
            self.cycle = None
        if self.cycle is not None:
            # A pipelined request: it is not begun before the one in front of it is answered, and
            # then the connection closes. Clients send it again (RFC 9112 section 9.3.2).
            self.cycle.keep = False
            self._ignoring = True
            return
        self._begin()
        self._in_head = True
        # Not with the first bytes: the parser skips empty lines, and a client could send them
        # for ever.
        self.deadline = self.loop.time() + self._limits.head_s

    def on_url(self, url: bytes) -> None:
        if not self._ignoring:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._ignoring or not self._in_head:
            return  # trailers: nothing that we would act on
        self._headers.append((name.lower(), value))
        self._size += len(name) + len(value)
        if len(self._headers) > self._limits.headers or self._size > self._limits.head_bytes:
            self.refuse(431, "the request's head is too long")

    def on_headers_complete(self) -> None:
        if self._ignoring:
            return
        self._in_head = False
        parser = self._parser
        version = parser.get_http_version()
        problem, expects = problem_of(version, self._url, self._headers)
        if parser.should_upgrade():
            problem = "upgrades are not supported"
        if problem:
            self.refuse(400, problem)
            return
        path, _, query = self._url.partition(b"?")
        cycle = Cycle(self, keep=version == "1.1" and parser.should_keep_alive())
        cycle.keep = cycle.keep and not self._stopping
        cycle.chunks = version == "1.1"
        cycle.awaited = expects and cycle.chunks
        self.cycle = cycle
        self.deadline = self.loop.time() + self._limits.body_s
        scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": "https" if self._secure else "http",
            # Percent signs stay as they are: routes are matched on what was sent.
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._client,
            "server": self._server,
        }
        task = self.loop.create_task(cycle.run(self._edge, scope))
        cycle.task = task
        self._state.tasks.add(task)

    def on_body(self, data: bytes) -> None:
        if self._ignoring or self.cycle is None:
            return
        if self.cycle.take(data) > self._limits.held_body_bytes and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._ignoring or self.cycle is None:
            return
        self.deadline = _NEVER
        self.cork.expect()
        self.cycle.end()

    # What a cycle calls.

    def head(self, status: int, headers: list[tuple[bytes, bytes]], *, keep: bool) -> bytes:
        """Return the head of an answer.

        Raises:
            ValueError: a header holds a line break.

        """
        if self._state.default_headers is not self._defaults:
            self._defaults = self._state.default_headers
            self._default_lines = b"".join(b"%b: %b\r\n" % row for row in self._defaults)
        parts = [_STATUS[status], self._default_lines]
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n" if keep else b"connection: close\r\n\r\n")
        head = b"".join(parts)
        count = len(headers) + len(self._defaults) + (2 if keep else 3)
        if head.count(b"\n") != count or head.count(b"\r") != count or b"\0" in head:
            raise ValueError("a header of the answer holds a line break")
        return head

    def read_on(self) -> None:
        """Read again, after the application has taken what was held."""
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    def answered(self, cycle: Cycle) -> None:
        """Make the connection ready for the next request, or close it."""
        self._state.total_requests += 1
        self._state.tasks.discard(cycle.task)
        if cycle is not self.cycle:
            return  # the next request has come already
        self.cycle = None
        if not cycle.keep or not cycle.body_ended or self._ignoring or self._stopping:
            self._leave()
            return
        self.read_on()
        self.deadline = self.loop.time() + self._limits.keep_alive_s

    def expire(self) -> None:
        """End what is past its time: an idle connection quietly, a slow request with 408."""
        self.deadline = _NEVER
        if self.drained is not None or self.transport.is_closing():
            self.transport.abort()
        elif self.cycle is not None:
            self.cycle.too_slow()
        elif self._in_head:
            self.refuse(408, "the request came too slowly")
        else:
            self._leave()

    def _leave(self) -> None:
        """Close once what was written is read: a client that does not read it gets some time."""
        self.cork.flush()
        self.transport.close()
        self.deadline = self.loop.time() + self._limits.write_s

    def _weigh_framing(self, cycle: Cycle, size: int) -> None:
        """Bound what is no part of a body: the parser gathers a trailer, copying it each time."""
        if cycle.received > self._body_at:
            self._body_at = cycle.received
            self._framing = 0
            return
        self._framing += size
        if self._framing > self._limits.head_bytes:
            self.refuse(400, "the request's trailer is too long")

    def refuse(self, status: int, reason: str) -> None:
        """Answer what never becomes a request, and close."""
        if self._ignoring:
            return
        self._ignoring = True
        self.cork.flush()
        if self.cycle is not None:
            self.cycle.disconnect()
        elif not self.transport.is_closing():
            body = refusal(status, reason)
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ]
            self.transport.write(self.head(status, headers, keep=False) + body)
        self._leave()


_ASGI = {"version": "3.0", "spec_version": "2.3"}
_STATUS = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode("ascii"))
    for status in http.HTTPStatus
}


def _peer(address: Any) -> tuple[str, int] | None:
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
