"""One request as a handler sees it, and how it is answered."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lockgate.app.gateway_stages import Caller
from lockgate.domain.call import DataClass
from lockgate.errors import Denied, InvalidInput, Overloaded
from lockgate.server.bodies import FREE, Room
from lockgate.server.cycle import Message, Receive, Scope, Send
from lockgate.server.failures import Failure, HttpFailure
from lockgate.server.route import Route
from lockgate.telemetry.spans import Trace

_encode = msgspec.json.Encoder().encode
_ORDER = (DataClass.PUBLIC, DataClass.INTERNAL, DataClass.CONFIDENTIAL)
_WANTED = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"content-type",
        b"content-encoding",
        b"content-length",
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"idempotency-key",
        b"prefer",
        b"accept",
        b"cache-control",
        b"traceparent",
        b"x-lockgate-data-class",
        b"x-lockgate-priority",
        b"x-lockgate-class",
        b"x-lockgate-deadline-ms",
    }
)
_RETRY_S = 1.0
JSON = (b"content-type", b"application/json")


class Exchange:
    """A request that matched a route, with its caller. Mutable, and private to one request."""

    __slots__ = (
        "_receive",
        "_send",
        "_taken",
        "cache",
        "caller",
        "code",
        "engine",
        "extra",
        "first_s",
        "headers",
        "id",
        "params",
        "query",
        "release",
        "room",
        "route",
        "scope",
        "started",
        "status",
        "trace",
        "waited",
        "why",
    )

    route: Route
    caller: Caller
    room: Room

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, id: str) -> None:  # noqa: A002
        self.scope = scope
        self._receive = receive
        self._send = send
        self._taken = 0
        self.started = time.perf_counter()
        self.id = id
        self.trace: Trace | None = None
        wanted = _WANTED
        self.headers: dict[bytes, bytes] = {n: v for n, v in scope["headers"] if n in wanted}
        self.params: Mapping[str, str] = {}
        self.status = 0
        self.code = ""
        self.why = ""
        """The kind of a failure after the answer had begun."""
        self.waited = 0.0
        """Seconds in which an upstream or a model was at work, and not we."""
        self.first_s = 0.0
        """Seconds from the request to the first part of a stream; 0: there is none."""
        self.release = b"none"
        self.engine = b"none"
        self.cache = b"none"
        self.extra: list[tuple[bytes, bytes]] = []

    def require(self, kind: str, name: str) -> None:
        """Let the caller reach a task or a model, or refuse.

        Raises:
            Denied: no scope of the caller names it.

        """
        if not self.caller.may(kind, name):
            raise Denied(
                f"`{self.caller.principal.name}` may not use the {kind} `{name}`",
                hint=f"the scope `{kind}:{name}` is needed",
            )

    def data_class(self, least: DataClass) -> DataClass:
        """Return the class of the request's data: the client may raise it, never lower it.

        Raises:
            InvalidInput: it names no class.

        """
        wanted = self.headers.get(b"x-lockgate-data-class")
        if wanted is None:
            return least
        try:
            chosen = DataClass(wanted.decode("ascii"))
        except ValueError:
            raise InvalidInput(
                f"there is no data class `{wanted[:40].decode('latin-1')}`",
                hint=f"it is one of {', '.join(DataClass)}",
            ) from None
        return max(chosen, least, key=_ORDER.index)

    async def body(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            HttpFailure: it is longer than `limit` bytes, compressed, or did not come in time.
            Overloaded: there is no room for it beside all other bodies.

        """
        if self.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            # Nothing here unpacks it: read as it is, a diff would be judged without being seen.
            raise HttpFailure(415, "unsupported-encoding", "a body is sent without compression")
        declared = self.headers.get(b"content-length")
        if declared is not None and int(declared) > limit:
            raise _too_long(limit)
        message = await self._receive()
        data: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message["more_body"]:
            if len(data) > limit:
                raise _too_long(limit)
            if len(data) > FREE:
                self._take(len(data))
            return data
        parts = [data]
        size = len(data)
        while message["type"] == "http.request" and message["more_body"]:
            message = await self._receive()
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise _too_long(limit)
            if size > FREE:
                self._take(size)
            parts.append(part)
        if message["type"] != "http.request":
            raise HttpFailure(408, "slow-request", "the request came too slowly")
        return b"".join(parts)

    def _take(self, size: int) -> None:
        if not self.room.take(self.caller.team, size - self._taken):
            raise Overloaded("too many large bodies are being read", retry_after_s=_RETRY_S)
        self._taken = size

    def keep_body(self) -> Callable[[], None]:
        """Keep the body's place after the request; what is returned gives it back."""
        taken, self._taken = self._taken, 0
        room, team = self.room, self.caller.team
        return (lambda: room.give(team, taken)) if taken else _nothing

    def ended(self) -> None:
        """Give back what the body took."""
        if self._taken:
            self.room.give(self.caller.team, self._taken)
            self._taken = 0

    async def respond(
        self, body: bytes, *, status: int = 200, kind: tuple[bytes, bytes] = JSON
    ) -> None:
        """Send the whole answer."""
        await self._send(self._head(status, kind, length=len(body)))
        await self._send({"type": "http.response.body", "body": body})

    async def respond_json(self, value: Any, *, status: int = 200) -> None:
        """Send a value as JSON."""
        await self.respond(_encode(value), status=status)

    async def begin(self, status: int, kind: tuple[bytes, bytes]) -> None:
        """Send the head of an answer without a length."""
        await self._send(self._head(status, kind))

    def _head(
        self, status: int, kind: tuple[bytes, bytes], *, length: int | None = None
    ) -> Message:
        self.status = status
        spent = time.perf_counter() - self.started
        if length is None:
            self.first_s = spent
        headers = [
            kind,
            (b"x-request-id", self.id.encode("ascii")),
            (b"x-lockgate-release", self.release),
            (b"x-lockgate-engine", self.engine),
            (b"x-lockgate-cache", self.cache),
            (b"x-lockgate-overhead-ms", b"%.3f" % ((spent - self.waited) * 1e3)),
            *self.extra,
        ]
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        return {"type": "http.response.start", "status": status, "headers": headers}

    async def part(self, data: bytes) -> None:
        """Send a part of an answer without a length."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last part of an answer without a length."""
        await self._send({"type": "http.response.body", "body": data})

    async def fail(self, failed: Failure) -> None:
        """Answer with an error, unless the answer has begun."""
        self.code = failed.code
        if self.status:
            return
        self.extra += failed.headers
        await self.respond(failed.body, status=failed.status)


def _nothing() -> None: ...


def _too_long(limit: int) -> HttpFailure:
    return HttpFailure(413, "too-large", f"the body is longer than {limit} bytes")
