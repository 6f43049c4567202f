"""One kept HTTP/1.1 connection: one request at a time, and an answer that is checked as it comes.

Written for model servers on the same machine or network, where a general client costs more than
the answer (docs/guides/gateway.md has the figures). The parser is llhttp in its strict mode, which
refuses what answers are smuggled with: both length and chunks, a doubled or malformed length,
folded headers, bare line feeds. What it lets through and we do not is refused in `_framing`.
"""

import asyncio
from collections import deque
from typing import Any

import httptools

from lockgate.errors import LockgateError, UpstreamFailed
from lockgate.upstream.cork import Cork
from lockgate.upstream.limits import Limits
from lockgate.upstream.reply import Reply

_INFORMATIONAL = 200
_SWITCHING = 101
_NO_BODY = frozenset({204, 304})
_NEVER = float("inf")
_LARGEST_STATUS = 599


class Connection(asyncio.Protocol):
    """A connection that is free, or busy with one request.

    `deadline` is the time at which the pool's sweep gives the request up: cheaper than a timer
    for each request.
    """

    def __init__(
        self, name: str, limits: Limits, loop: asyncio.AbstractEventLoop, cork: Cork
    ) -> None:
        self._name = name
        self._limits = limits
        self._loop = loop
        self._cork = cork
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self.closed = False
        self.busy = False
        self.used = 0
        """Answers so far."""
        self.keep = True
        self.free_until = 0.0
        self.since = 0.0
        """When the request was sent."""
        self.deadline = _NEVER
        self.stage = "connect"
        self._last = _NEVER
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.touched = False
        """Whether a byte of the answer has come."""
        self._parts: deque[bytes] = deque()
        self._buffered = 0
        self._size = 0
        self._raw = 0
        self._idle = 0
        self._sized = 0
        self._head = 0
        self._informational = 0
        self._headed = False
        self._whole = False
        self._until_close = False
        self._streamed = False
        self._paused = False
        self._failure: LockgateError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def write(self, data: bytes, *, streamed: bool) -> "asyncio.Future[None]":
        """Send a request.

        The future is done when the answer is whole or, with `streamed`, when its head is there.
        """
        self._reset()
        self.busy = True
        self._streamed = streamed
        self.since = now = self._loop.time()
        self._last = now + self._limits.total_s
        self.deadline = min(now + self._limits.first_byte_s, self._last)
        self.stage = "first byte"
        self._waiter = waiter = self._loop.create_future()
        self._cork.write(self._transport, data)
        return waiter

    def reply(self) -> Reply:
        """Return the whole answer."""
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        return Reply(self.status, self.headers, body)

    async def part(self) -> bytes:
        """Return the next bytes of a streamed body; empty at its end."""
        while not self._parts:
            if self._failure is not None:
                raise self._failure
            if self._whole:
                return b""
            self._waiter = self._loop.create_future()
            await self._waiter
        data = self._parts.popleft() if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._buffered = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
            self.deadline = min(self._loop.time() + self._limits.idle_s, self._last)
        return data

    @property
    def whole(self) -> bool:
        """Whether the answer has come to its end."""
        return self._whole

    @property
    def reusable(self) -> bool:
        """Whether the next request may go here: nothing is left over, on either side."""
        return (
            self._whole
            and self.keep
            and not self.closed
            and not self._paused
            # Answered before it was read: nobody may ever read the rest, nor what comes after it.
            and not self._transport.get_write_buffer_size()
        )

    def release(self, now: float) -> None:
        """Make the connection free until the server may close it."""
        self.busy = False
        self.used += 1
        self.deadline = _NEVER
        self.free_until = now + self._limits.keep_alive_s

    def abort(self) -> None:
        """Close at once, dropping what was not sent."""
        self.closed = True
        self.keep = False
        if self._transport is not None:
            self._transport.abort()

    def fail(self, failure: LockgateError) -> None:
        """End the request, and the connection with it."""
        if self._failure is None and not self._whole:
            self._failure = failure
        self._wake(failure)
        self.abort()

    # What the event loop calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.busy or self._whole:
            self.abort()  # nobody asked: what comes now would be taken for the next answer
            return
        self.touched = True
        self._raw += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(self._invalid(str(getattr(error, "__context__", None) or error)))
            return
        if self.whole:
            return
        if not self._headed and self._raw > self._limits.head_bytes:
            self.fail(self._invalid(f"its head is longer than {self._limits.head_bytes} bytes"))
        elif self._raw > 2 * self._limits.body_bytes + self._limits.head_bytes:
            self.fail(self._invalid("its chunks are mostly framing"))
        elif self._paused:
            self.deadline = self._last  # the reader is slow, not the upstream
        elif self._headed and self._framing_is_too_long(len(data)):
            self.fail(self._invalid(f"its trailer is longer than {self._limits.head_bytes} bytes"))
        elif self._headed:
            self.deadline = min(self._loop.time() + self._limits.idle_s, self._last)
            self.stage = "next part"

    def eof_received(self) -> None:
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self.keep = False
        if not self.busy or self._whole:
            return
        if self._headed and self._until_close and error is None:
            self.on_message_complete()
            return
        what = "before it answered" if not self.touched else "in the middle of its answer"
        reason = f": {error}" if error else ""
        failure = UpstreamFailed(f"the upstream `{self._name}` hung up {what}{reason}")
        if self._failure is None:
            self._failure = failure
        self._wake(self._failure)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._whole:
            self.keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._headed or self._whole:
            return  # trailers: nothing that we would act on
        self.headers.append((name.lower(), value))
        self._head += len(name) + len(value)
        if len(self.headers) > self._limits.headers:
            self.fail(self._invalid(f"it has more than {self._limits.headers} headers"))
        elif self._head > self._limits.head_bytes:
            self.fail(self._invalid(f"its head is longer than {self._limits.head_bytes} bytes"))

    def on_headers_complete(self) -> None:
        if self._whole or self._failure is not None:
            return
        self.status = self._parser.get_status_code()
        if self.status < _INFORMATIONAL:
            self._informational += 1
            self.headers.clear()
            if self.status == _SWITCHING:
                self.fail(self._invalid("it switches protocols"))
            elif self._informational > self._limits.informational:
                self.fail(self._invalid(f"{self._informational} answers without an end"))
            return
        problem = self._framing()
        if problem:
            self.fail(self._invalid(problem))
            return
        self._headed = True
        if self._streamed:
            self._wake(None)

    def on_body(self, data: bytes) -> None:
        if self._whole or self._failure is not None:
            return
        self._size += len(data)
        if self._size > self._limits.body_bytes:
            self.fail(self._invalid(f"its body is longer than {self._limits.body_bytes} bytes"))
            return
        self._parts.append(data)
        if not self._streamed:
            return
        self._buffered += len(data)
        if self._buffered > self._limits.buffer_bytes and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake(None)

    def on_message_complete(self) -> None:
        if not self._headed or self._whole or self._failure is not None:
            return  # the end of a 1xx answer, or of one that was given up
        self._whole = True
        self.deadline = _NEVER
        self.keep = self.keep and self._parser.should_keep_alive() and not self._until_close
        if not self._streamed:
            self._cork.expect()
        self._wake(None)

    def _framing(self) -> str:
        """Say what is wrong with how the answer says where it ends; empty if nothing."""
        if self._parser.get_http_version() not in {"1.1", "1.0"} or self.status > _LARGEST_STATUS:
            return f"HTTP/{self._parser.get_http_version()} {self.status}"
        length = chunked = False
        for name, value in self.headers:
            if name == b"content-length":
                if length:
                    return "two lengths"
                length = True
            elif name == b"transfer-encoding":
                if value.lower() != b"chunked" or chunked:
                    return f"the transfer encoding {value[:40]!r}"
                chunked = True
        if length and chunked:
            return "both a length and chunks"
        self._until_close = not length and not chunked and self.status not in _NO_BODY
        return ""

    def _framing_is_too_long(self, size: int) -> bool:
        """Say whether more than a head's worth came since the last byte of the body.

        The parser gathers a trailer until its end, copying all of it each time: with 100 MB of it
        this process would do little else.
        """
        if self._size > self._sized:
            self._sized = self._size
            self._idle = 0
            return False
        self._idle += size
        return self._idle > self._limits.head_bytes

    def _invalid(self, reason: str) -> UpstreamFailed:
        return UpstreamFailed(f"the answer of the upstream `{self._name}` is not valid: {reason}")

    def _wake(self, failure: LockgateError | None) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if failure is not None and not self._streamed_alive():
            waiter.set_exception(failure)
            return
        if self._streamed or self._whole:
            waiter.set_result(None)

    def _streamed_alive(self) -> bool:
        """Whether a stream's reader is to see parts that came before the failure."""
        return self._streamed and self._headed
