"""One request and its answer on a connection: ASGI's `receive` and `send`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, TypeAlias

from lockgate.upstream.cork import Cork

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGI: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Connection(Protocol):
    """What a request needs of the connection that it came on."""

    loop: asyncio.AbstractEventLoop
    transport: Any
    drained: "asyncio.Future[None] | None"
    cork: Cork

    def head(self, status: int, headers: list[tuple[bytes, bytes]], *, keep: bool) -> bytes: ...
    def answered(self, cycle: "Cycle") -> None: ...
    def read_on(self) -> None: ...


class Answering(Protocol):
    """What has the application of this moment."""

    app: ASGI | None


_DISCONNECT = {"type": "http.disconnect"}
_UNAVAILABLE = 503
_NO_BODY = frozenset({204, 304})


_CODES = {408: "slow-request", 500: "internal", 503: "overloaded"}


def refusal(status: int, reason: str) -> bytes:
    """Return the body of an answer to what is no proper request."""
    kind = "invalid_request_error" if status < 500 else "server_error"  # noqa: PLR2004
    code = _CODES.get(status, "bad-http")
    error = {"message": reason, "type": kind, "param": None, "code": code}
    return json.dumps({"error": error}).encode("ascii")


def _unsized(headers: list[tuple[bytes, bytes]]) -> bool:
    return all(name != b"content-length" for name, _ in headers)


class Cycle:
    """Created for one request, so that nothing left over can answer the next one."""

    __slots__ = (
        "_body",
        "_chunked",
        "_gone",
        "_head",
        "_protocol",
        "_silent",
        "_size",
        "_waiter",
        "awaited",
        "body_ended",
        "chunks",
        "complete",
        "keep",
        "received",
        "slow",
        "task",
    )

    def __init__(self, protocol: Connection, *, keep: bool) -> None:
        self._protocol = protocol
        self.keep = keep
        self.chunks = True
        """Whether the client knows chunks; to one of HTTP/1.0 the end of an answer is a close."""
        self.task: asyncio.Task[None] | None = None
        self.body_ended = False
        self.received = 0
        """Bytes of the body so far."""
        self.complete = False
        self.slow = False
        self.awaited = False
        """Whether the client waits to be asked for the body."""
        self._body: list[bytes] = []
        self._size = 0
        self._gone = False
        self._waiter: asyncio.Future[None] | None = None
        self._head: bytes | None = None
        self._chunked = False
        self._silent = False

    # What the protocol calls.

    @property
    def lets_go(self) -> bool:
        """Whether the client has all of the answer, and may ask on.

        What made it may still be at work: it reads the end of an upstream's stream, say.
        """
        return self.complete and self.keep and self.body_ended

    def take(self, data: bytes) -> int:
        """Keep a part of the body; return how many bytes are held."""
        self._body.append(data)
        self._size += len(data)
        self.received += len(data)
        self._wake()
        return self._size

    def end(self) -> None:
        """Note that the body is whole."""
        self.body_ended = True
        self._wake()

    def disconnect(self) -> None:
        """End the request: its client is gone. What it was waiting for is cancelled."""
        if self.complete:
            return
        self._gone = True
        self._wake()
        if self.task is not None:
            self.task.cancel()

    def too_slow(self) -> None:
        """End the request: its body does not come."""
        self.slow = True
        self.keep = False
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What runs the application.

    async def run(self, edge: Answering, scope: Scope) -> None:
        """Run the application of this moment; answer 500 if it ends without an answer.

        What it raises ends the task, and asyncio logs it.
        """
        try:
            self._silent = scope["method"] == "HEAD"
            assert edge.app is not None, "it was set before the first connection"
            await edge.app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            if not self._gone:
                # Only a gateway that stops cancels what its client still waits for.
                self._fail(_UNAVAILABLE, "the gateway stops, and this took too long: send it again")
                raise
        finally:
            if not self.complete:
                self._fail()
            self._protocol.answered(self)

    async def receive(self) -> Message:
        """Return the next part of the body."""
        while not self._body and not self.body_ended and not self._gone:
            if self.awaited:
                self.awaited = False
                self._protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._waiter = self._protocol.loop.create_future()
            await self._waiter
        if self._gone or (self.complete and not self._body):
            return dict(_DISCONNECT)
        parts, self._body = self._body, []
        self._size = 0
        self._protocol.read_on()
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return {"type": "http.request", "body": body, "more_body": not self.body_ended}

    async def send(self, message: Message) -> None:
        """Write a part of the answer."""
        protocol = self._protocol
        if self.complete or (self._gone and not self.slow):
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers") or [])
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        at_once = bool(self._head) and not more
        body = self._framed(body, last=not more)
        if at_once and self.keep:
            protocol.cork.write(protocol.transport, body)
        elif body:
            protocol.transport.write(body)
        if not more:
            self.complete = True
        elif protocol.drained is not None:
            await protocol.drained

    def _framed(self, body: bytes, *, last: bool) -> bytes:
        """Return what goes out for a part of the body: the head before the first one."""
        head = self._head or b""
        if head:
            self._head = b""
        if self._silent:
            return head
        if self._chunked:
            if body:
                body = b"%x\r\n%b\r\n" % (len(body), body)
            if last:
                body += b"0\r\n\r\n"
        return head + body

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        assert self._head is None, "an answer has one head"
        keep = self.keep and self.body_ended
        self.keep = keep
        if headers[-1][0] != b"content-length" and _unsized(headers) and status not in _NO_BODY:
            self._chunked = self.chunks
            if self.chunks:
                headers = [*headers, (b"transfer-encoding", b"chunked")]
        self._head = self._protocol.head(status, headers, keep=keep)

    def _fail(self, status: int = 500, reason: str = "something went wrong here") -> None:
        self.keep = False
        if self._gone or self.complete or self._head is not None:
            return
        self.complete = True
        body = refusal(status, reason)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if status == _UNAVAILABLE:
            headers.append((b"retry-after", b"1"))
        self._protocol.transport.write(self._protocol.head(status, headers, keep=False) + body)
