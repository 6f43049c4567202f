"""Passes an upstream's answer on, checked."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from lockgate.errors import LockgateError, UpstreamFailed
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure, error_body, failure
from lockgate.server.replies import CHUNK, REFUSAL, REPLY, Usage
from lockgate.server.sse import DONE, Events, event
from lockgate.upstream.reply import Reply, Stream

EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
_OK = 200
_TOO_MANY = 429
_OURS_TO_FIX = frozenset({401, 402, 403, 405, 407, 408, 411, 415, 421, 426, 431})
_CLIENT = range(400, 500)
_SHOWN = 300
_RETRY_DIGITS = 6


class Noted(Protocol):
    """Where the usage of a stream is put."""

    usage: Usage | None


def usage_of(upstream: str, body: bytes) -> Usage | None:
    """Return what a whole answer says that it took.

    Raises:
        UpstreamFailed: it is not the JSON that such an answer is.

    """
    try:
        return REPLY.decode(body).usage
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _garbled(upstream, error) from error


async def stream(
    exchange: Exchange, upstream: str, source: Stream, note: Noted, *, wants_usage: bool
) -> None:
    """Pass a stream on, event by event.

    Once it has begun, what goes wrong is said in an event and the stream ends without `[DONE]`.
    """
    if source.status != _OK:
        raise refused(upstream, await _whole(source))
    events = Events()
    try:
        while data := await source.part():
            out, done = _pick(upstream, events.feed(data), note, wants_usage=wants_usage)
            if out and not exchange.status:
                await exchange.begin(_OK, EVENT_STREAM)
            if done:
                await exchange.end(out)
                await _drain(source)
                return
            if out:
                await exchange.part(out)
        raise UpstreamFailed(f"the stream of the upstream `{upstream}` ended without `[DONE]`")
    except LockgateError as error:
        if not exchange.status:
            raise
        failed = failure(error)
        exchange.code = failed.code
        await exchange.end(event(error_body(failed.status, failed.code, error.message)))


def _pick(
    upstream: str, found: Sequence[bytes], note: Noted, *, wants_usage: bool
) -> tuple[bytes, bool]:
    """Return the events that go on, and whether the stream is at its end."""
    out = []
    for data in found:
        if data == DONE:
            out.append(event(DONE))
            return b"".join(out), True
        kept = _chunk(upstream, data, note, wants_usage=wants_usage)
        if kept:
            out.append(event(kept))
    return b"".join(out), False


def _chunk(upstream: str, data: bytes, note: Noted, *, wants_usage: bool) -> bytes:
    """Return a chunk as it is to be sent; empty if it is the usage that nobody asked for."""
    try:
        chunk = CHUNK.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _garbled(upstream, error) from error
    if chunk.usage is not None:
        note.usage = chunk.usage
        if not chunk.choices and not wants_usage:
            return b""
    # JSON over several `data:` lines was joined with line breaks; an event is one line.
    return data.replace(b"\n", b" ") if b"\n" in data else data


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
    if status in _CLIENT and status not in _OURS_TO_FIX:
        return HttpFailure(status, "upstream-refused", f"the upstream `{upstream}` says: {said}")
    return UpstreamFailed(f"the upstream `{upstream}` answered {status}: {said}")


def _said(body: bytes) -> str:
    try:
        error = REFUSAL.decode(body).error
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return "(no reason that can be shown)"
    text = error if isinstance(error, str) else error.message
    return " ".join(text[:_SHOWN].split()) or "(no reason given)"


def _garbled(upstream: str, error: Exception) -> UpstreamFailed:
    return UpstreamFailed(
        f"the answer of the upstream `{upstream}` is not what the API says: {str(error)[:_SHOWN]}"
    )
