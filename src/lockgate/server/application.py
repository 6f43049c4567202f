"""The application: a raw ASGI callable. Every request goes through `Application.__call__`.

match the route -> who is calling -> may they -> the route's handler
"""

import asyncio
import ipaddress
import logging
import sys
import time
from collections.abc import Sequence

from lockgate.app.gateway_meter import GatewayMeter
from lockgate.app.gateway_stages import Authenticator
from lockgate.errors import Denied, LockgateError
from lockgate.server.bodies import Room
from lockgate.server.cycle import Receive, Scope, Send
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure, failure
from lockgate.server.route import Route, Table
from lockgate.server.tracing import Tracing
from lockgate.telemetry import conventions
from lockgate.telemetry.spans import Trace, Tracer

_LOG = logging.getLogger("lockgate.server")
_OK = 200
_SERVER_FAULT = 500
_TOO_MANY = 429
_SHORT = "short:"
_OPEN = "lockgate_open_requests"
_PASSED_ON = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"}
)
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Application:
    """Stateless but for what its parts hold; safe to replace as a whole while requests run."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        authenticator: Authenticator,
        meter: GatewayMeter,
        tracing: Tracing | None = None,
        room: Room | None = None,
        keyless: bool,
    ) -> None:
        self.table = Table(routes)
        self.room = room or Room()
        self._authenticator = authenticator
        self._meter = meter
        self._tracing = tracing
        self._keyless = keyless
        self._running = 0
        meter.watch(lambda metrics: metrics.gauge(_OPEN).labels().set(self._running))
        self._idle = asyncio.Event()

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return self._running

    async def idle(self) -> None:
        """Wait for the requests that run. For an application that gets no more of them."""
        while self._running:
            self._idle.clear()
            await self._idle.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        assert scope["type"] == "http", "the server speaks nothing else"
        self._running += 1
        exchange = Exchange(scope, receive, send, id=self._meter.new_id())
        exchange.room = self.room
        name = "none"
        try:
            route = self._match(exchange)
            name = route.name
            tracing = self._tracing
            if tracing and (tracing.records or b"traceparent" in exchange.headers):
                _trace(exchange, route, tracing.tracer)
            if route.role is not None:
                self._admit(exchange, route)
            await route.handler(exchange)
        except LockgateError as error:
            failed = failure(error)
            if failed.status >= _SERVER_FAULT:
                told = {"request": exchange.id, "route": name, "code": failed.code}
                _LOG.warning("%s", error.message, extra={**told, "hint": error.hint})
            if failed.status == _TOO_MANY:
                self._limited(name, error, failed.code)
            await exchange.fail(failed)
        finally:
            fault = sys.exception()
            if fault is not None and not isinstance(fault, asyncio.CancelledError):
                await _own_fault(exchange, name, fault)
            exchange.ended()
            self._running -= 1
            if not self._running:
                self._idle.set()
            spent = time.perf_counter() - exchange.started
            self._meter.answered(name, exchange.status, spent, spent - exchange.waited)
            if exchange.trace is not None:
                _end(exchange, exchange.trace)

    def _limited(self, route: str, error: LockgateError, code: str) -> None:
        if code == "over-budget":
            self._meter.limited(route, "budget")
        elif code == "rate-limited" and isinstance(error, HttpFailure):
            self._meter.limited(route, error.param or "requests")

    def _match(self, exchange: Exchange) -> Route:
        scope = exchange.scope
        found = self.table.find(scope["path"])
        if found is None:
            raise HttpFailure(404, "no-route", f"there is nothing at this path{self._near(scope)}")
        methods, exchange.params = found
        method = scope["method"]
        # RFC 9110 section 9.3.2: as GET, and the body stays here. Health checks ask so.
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            more = ("HEAD",) if "GET" in methods else ()
            allowed = ", ".join(sorted((*methods, *more)))
            raise HttpFailure(
                405,
                "method-not-allowed",
                f"this path takes {allowed} and not {method}",
                headers=((b"allow", allowed.encode("ascii")),),
            )
        exchange.route = route
        return route

    def _near(self, scope: Scope) -> str:
        """Say where it is, if a client's `base_url` lacks `/v1` or has it twice."""
        path: str = scope["path"]
        for other in (f"/v1{path}", path.removeprefix("/v1")):
            found = self.table.find(other)
            if found is not None:
                return f"; did you mean `{next(iter(found[0].values())).path}`?"
        return ""

    def _admit(self, exchange: Exchange, route: Route) -> None:
        """Say who is calling, and whether the matched route is for them."""
        if self._keyless:
            _refuse_browsers(exchange)
        headers = exchange.headers
        caller = self._authenticator.authenticate(
            headers.get(b"authorization"), headers.get(b"x-api-key")
        )
        exchange.caller = caller
        if route.near:
            _refuse_far(exchange)
        if route.role not in caller.roles:
            raise Denied(
                f"`{caller.principal.name}` does not hold the role `{route.role}`",
                hint=f"`{route.method} {route.path}` is for it",
            )


async def _own_fault(exchange: Exchange, route: str, fault: BaseException) -> None:
    """Log a mistake of ours by the request's id, and answer it; it is raised on all the same."""
    told = {"request": exchange.id, "route": route, "code": LockgateError.code}
    _LOG.error("a mistake in the gateway", extra=told, exc_info=fault)
    await exchange.fail(failure(LockgateError("something went wrong here: the log says what")))


def _task_of(route: Route) -> str:
    return route.name.removeprefix(_SHORT) if route.name.startswith(_SHORT) else ""


def _trace(exchange: Exchange, route: Route, tracer: Tracer) -> None:
    parent = exchange.headers.get(b"traceparent")
    task = exchange.params.get("task", "") or _task_of(route)
    name = f"{route.method} {route.path}"
    if parent is None:
        drawn = tracer.draw(route=route.name, task=task)
        if not drawn:
            return
        exchange.trace = trace = tracer.record(name, drawn)
    else:
        exchange.trace = trace = tracer.begin(
            name,
            route=route.name,
            task=task,
            traceparent=parent,
            tracestate=[v for n, v in exchange.scope["headers"] if n == b"tracestate"],
        )
    if trace.sampled:
        trace.root.set(conventions.HTTP_METHOD, route.method)
        trace.root.set(conventions.URL_SCHEME, exchange.scope["scheme"])
        trace.root.set(conventions.HTTP_ROUTE, route.path)


def _end(exchange: Exchange, trace: Trace) -> None:
    if not trace.sampled:
        return
    root = trace.root
    root.set(conventions.HTTP_STATUS, exchange.status)
    root.set(conventions.RELEASE, exchange.release.decode("ascii"))
    root.set(conventions.ENGINE, exchange.engine.decode("ascii"))
    root.set(conventions.CACHE_STATE, exchange.cache.decode("ascii"))
    if exchange.code and (exchange.status >= _SERVER_FAULT or exchange.status == _OK):
        # A stream that broke off has the status that it began with.
        root.fail(exchange.code)
    root.end()


def _refuse_browsers(exchange: Exchange) -> None:
    """Refuse what a web page made a browser send to this machine.

    Without keys, reaching the port is the proof of who is calling, and any page that is open in a
    browser here reaches it: by a form, or by a name of its own that resolves to 127.0.0.1.
    """
    headers = exchange.headers
    if b"origin" in headers or headers.get(b"sec-fetch-site", b"none") not in {b"none", b""}:
        raise Denied("requests of web pages are not answered without a key")
    server = exchange.scope["server"]
    if server is None:  # a Unix socket: no browser gets there
        return
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name not in _LOCAL_NAMES:
        raise Denied(f"without a key, the host is `localhost` and not `{name[:80]}`")


def _refuse_far(exchange: Exchange) -> None:
    """Refuse who is not on this machine: the admin API is worth as much as the gateway.

    A proxy on this machine is here, and whom it asks for is not. What it says of them is believed
    only so far as it is a reason to refuse.
    """
    scope = exchange.scope
    client = scope["client"]
    if client is not None and not _is_here(client[0]):
        raise Denied(_FAR, hint="`server.admin_from` may allow it")
    if any(name in _PASSED_ON for name, _ in scope["headers"]):
        raise Denied(_FAR, hint="it came through a proxy; `server.admin_from` may allow it")


_FAR = "the admin API is for this machine alone"


def _is_here(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_loopback
