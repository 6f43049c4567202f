"""Passes an upstream's answer on, checked."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from lockgate.errors import LockgateError, UpstreamFailed
from lockgate.server import tracing
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure, error_body, failure, why_of
from lockgate.server.guarding import Guarding
from lockgate.server.measuring import ErrorInstead, larger, measured_whole, text_bytes
from lockgate.server.replies import CHUNK, REFUSAL, Usage
from lockgate.server.sse import DONE, Events, event
from lockgate.server.streamed_answers import StreamedAnswers
from lockgate.telemetry.spans import NO_SPAN, Span
from lockgate.upstream.reply import Reply, Stream

_encode = msgspec.json.Encoder().encode
EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
_OK = 200
_TOO_MANY = 429
_OURS_TO_FIX = frozenset({401, 402, 403, 405, 407, 408, 411, 415, 421, 426, 431})
_CLIENT = range(400, 500)
_SHOWN = 300
_RETRY_DIGITS = 6
_KIND = 80
_NOT_FOUND = 404
_SILENT = "(no reason that can be shown)"
_NO_API = frozenset({_SILENT, "Not Found"})
"""What servers say of a path that they do not know."""
_HINTS = {
    401: "check what `token_env` of the backend names",
    403: "check what `token_env` of the backend names",
    405: "check the `url` of the backend",
}


class Noted(Protocol):
    """Where the usage of a stream is put."""

    usage: Usage | None
    written: int
    """Bytes of text so far."""
    measured: bool
    """What it wrote is known."""


def read_usage(upstream: str, body: bytes, note: Noted) -> None:
    """Note what a whole answer says that it took.

    Raises:
        UpstreamFailed: it is not the JSON that such an answer is, or says what went wrong.

    """
    try:
        note.usage, note.written = measured_whole(body)
    except ErrorInstead as error:
        # Its words stay with it, as in `refused`.
        raise UpstreamFailed(
            f"the answer of the upstream `{upstream}` is an error", why="status"
        ) from error
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        note.written = len(body)  # somebody has written that
        raise _garbled(upstream, error) from error
    note.measured = True


@dataclass(slots=True)
class Relay:
    """Passes one stream on, event by event. Mutable, and private to one call."""

    exchange: Exchange
    upstream: str
    note: Noted
    guarding: Guarding
    wants_usage: bool
    answers: StreamedAnswers | None = None
    """Holds them against a schema, where the client wants that."""
    span: Span = NO_SPAN
    """Of the inference."""
    _events: Events = field(default_factory=Events)
    _unsent: bytes = b""
    """What came together with what went wrong, and before it."""

    async def run(self, source: Stream) -> None:
        """Relay until `[DONE]`.

        Once it has begun, what goes wrong is said in an event and the stream ends without
        `[DONE]`.
        """
        exchange = self.exchange
        if source.status != _OK:
            raise refused(self.upstream, await _whole(source))
        try:
            while data := await self._part(source):
                out, done = self._pick(self._events.feed(data))
                if out and not exchange.status:
                    await exchange.begin(_OK, EVENT_STREAM)
                if done:
                    await exchange.end(out)
                    await _drain(source)
                    return
                if out:
                    await exchange.part(out)
            if not self._events.began:
                raise _no_events(self.upstream, source)
            raise UpstreamFailed(
                f"the stream of the upstream `{self.upstream}` ended without `[DONE]`",
                why="truncated",
            )
        except LockgateError as error:
            if not exchange.status:
                raise
            await break_off(exchange, error, self._unsent)
        finally:
            self.guarding.finish()

    async def _part(self, source: Stream) -> bytes:
        """Return what comes next. The time until then is the upstream's and not ours."""
        began = time.perf_counter()
        try:
            return await source.part()
        finally:
            self.exchange.waited += time.perf_counter() - began

    def _pick(self, found: Sequence[bytes]) -> tuple[bytes, bool]:
        """Return the events that go on, and whether the stream is at its end."""
        out = []
        try:
            for data in found:
                if data == DONE:
                    if self.answers is not None:
                        self.answers.end()
                    out += [event(chunk) for chunk in self.guarding.rests()]
                    out.append(event(DONE))
                    return b"".join(out), True
                kept = self._chunk(data)
                if kept:
                    out.append(event(kept))
        except LockgateError:
            self._unsent = b"".join(out)
            raise
        return b"".join(out), False

    def _chunk(self, data: bytes) -> bytes:
        """Return a chunk as it is to be sent; empty if it is not to be."""
        try:
            chunk = CHUNK.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _garbled(self.upstream, error) from error
        if chunk.error is not None:
            # Its words stay with it, as in `refused`.
            raise UpstreamFailed(
                f"the stream of the upstream `{self.upstream}` is an error", why="status"
            )
        if self.span is not NO_SPAN:
            tracing.said(self.span, data)
        if chunk.usage is not None:
            self.note.usage = larger(self.note.usage, chunk.usage)
            if not chunk.choices and not self.wants_usage:
                return b""
        for choice in chunk.choices:
            self.note.written += text_bytes(choice)
        if self.answers is not None and not self.answers.goes_on(chunk.choices):
            return b""
        if self.guarding.guards_outputs:
            # A member that is there twice was read once: what was not read does not go out.
            data = (
                self.guarding.chunk(data) if chunk.choices else _encode(msgspec.json.decode(data))
            )
        # JSON over several `data:` lines was joined with line breaks; an event is one line.
        return data.replace(b"\n", b" ") if b"\n" in data else data


async def break_off(exchange: Exchange, error: LockgateError, unsent: bytes = b"") -> None:
    """End a stream that has begun with an event that says what went wrong."""
    failed = failure(error)
    exchange.code, exchange.why = failed.code, why_of(error)
    said = event(error_body(failed.status, failed.code, error.message))
    await exchange.end(unsent + said)


def _no_events(upstream: str, source: Stream) -> UpstreamFailed:
    kind = next((value for name, value in source.headers if name == b"content-type"), b"")
    shown = kind.partition(b";")[0].strip()[:_KIND].decode("latin-1") or "nothing"
    return UpstreamFailed(
        f"the upstream `{upstream}` sent no event but `{shown}`, though a stream was asked for",
        hint="check that it can stream, and that its `url` is right",
    )


async def _drain(source: Stream) -> None:
    """Read the end of the body, so that the connection can be used again."""
    while await source.part():
        pass


async def _whole(source: Stream) -> Reply:
    parts = []
    while data := await source.part():
        parts.append(data)
    return Reply(source.status, source.headers, b"".join(parts))


def refused(upstream: str, reply: Reply) -> LockgateError:
    """Return the error for an answer that is none: the client's own faults stay the client's."""
    status = reply.status
    said = _said(reply.body)
    if status == _TOO_MANY:
        after = reply.header(b"retry-after") or b""
        known = after.isdigit() and len(after) <= _RETRY_DIGITS
        return HttpFailure(
            _TOO_MANY,
            "upstream-busy",
            f"the upstream `{upstream}` limits requests: {said}",
            headers=((b"retry-after", after),) if known else (),
        )
    if status == _NOT_FOUND and said in _NO_API:
        return UpstreamFailed(
            f"the upstream `{upstream}` has nothing where the API should be: it answered 404",
            hint="check the `url` of the backend: as a rule it ends with `/v1`",
            why="status",
        )
    if status in _CLIENT and status not in _OURS_TO_FIX:
        return HttpFailure(status, "upstream-refused", f"the upstream `{upstream}` says: {said}")
    # Its words stay with it: they may quote our key, or the prompt, and this goes to a log.
    return UpstreamFailed(
        f"the upstream `{upstream}` answered {status}", hint=_HINTS.get(status), why="status"
    )


def _said(body: bytes) -> str:
    try:
        found = REFUSAL.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _SILENT
    detail = found.detail
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        detail = detail[0].get("msg")  # its other members quote the request
    error = found.error if isinstance(found.error, str) else found.error.message
    for text in (error, found.message, detail):
        if isinstance(text, str) and text.strip():
            return " ".join(text[:_SHOWN].split())
    return "(no reason given)"


def _garbled(upstream: str, error: Exception) -> UpstreamFailed:
    return UpstreamFailed(
        f"the answer of the upstream `{upstream}` is not what the API says: {str(error)[:_SHOWN]}"
    )
