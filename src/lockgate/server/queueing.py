"""A request's place at a backend: taken at once, waited for, or refused because it would be late.

The caller's settings bound how urgent a request is; its headers may only make it less so.
"""

from types import TracebackType

from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_meter import GatewayMeter
from lockgate.errors import InvalidInput, Overloaded, Unavailable
from lockgate.server import tracing
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure
from lockgate.telemetry import conventions
from lockgate.traffic.lane import Klass
from lockgate.traffic.queue import Asked, Queue

_TOO_MANY = 429
_PRIORITY, _CLASS = b"x-lockgate-priority", b"x-lockgate-class"
_DEADLINE = b"x-lockgate-deadline-ms"
_DIGITS = 9
_MS = 1000.0
_KLASSES = {klass.value.encode("ascii"): klass for klass in Klass}
_CHARACTERS_A_TOKEN = 4
_USUAL_OUTPUT = 512
"""Tokens. A request that names no limit is not to weigh as much as the longest answer there is."""


class Urgency:
    """When a request has to be done, and how it stands to others. Read from its headers once."""

    __slots__ = ("cost", "deadline_s", "klass", "priority")

    def __init__(self, controls: Controls, exchange: Exchange, cost: int) -> None:
        """`cost` is in tokens.

        Raises:
            InvalidInput: a header is not what it may be.

        """
        caller, headers = exchange.caller, exchange.headers
        allowed = controls.urgencies.of(caller.key, caller.team)
        self.cost = cost
        self.priority = allowed.priority
        self.klass = Klass.BATCH if allowed.batch else Klass.ONLINE
        self.deadline_s = allowed.deadline_s
        if _PRIORITY in headers:
            self.priority = min(self.priority, _number(_PRIORITY, headers[_PRIORITY]))
        if _CLASS in headers and _klass(headers[_CLASS]) is Klass.BATCH:
            self.klass = Klass.BATCH
        if _DEADLINE in headers:
            self.deadline_s = min(self.deadline_s, _number(_DEADLINE, headers[_DEADLINE]) / _MS)


def cost_of(sent: int, limit: int, count: int = 1) -> int:
    """Return about how many tokens a request takes: `sent` bytes, and `count` answers.

    `limit` is the most that an answer may have; 0: the client does not say.
    """
    return sent // _CHARACTERS_A_TOKEN + (limit or _USUAL_OUTPUT) * count


class Place:
    """`async with` it: the block runs while the backend has a place for the request.

    A backend without a queue has a place for everyone. Entering raises Overloaded when the request
    is shed.
    """

    __slots__ = ("_asked", "_backend", "_exchange", "_meter", "_queue", "_since", "_urgency")

    def __init__(
        self,
        controls: Controls,
        meter: GatewayMeter,
        exchange: Exchange,
        backend: str,
        urgency: Urgency,
    ) -> None:
        self._queue = controls.queues.get(backend)
        self._meter = meter
        self._exchange = exchange
        self._backend = backend
        self._urgency = urgency

    async def __aenter__(self) -> None:
        queue = self._queue
        if queue is None:
            return
        urgency = self._urgency
        self._since = queue.clock()
        # From when the request came, also where this backend is not the first of its chain.
        deadline = self._exchange.started + urgency.deadline_s
        self._asked = asked = Asked(max(1, urgency.cost), urgency.klass, deadline, urgency.priority)
        try:
            if not queue.enter_now(asked):
                await self._wait(queue, asked)
        except Overloaded:
            self._meter.shed(self._backend, urgency.klass)
            raise

    async def _wait(self, queue: Queue, asked: Asked) -> None:
        try:
            with tracing.part(self._exchange, conventions.QUEUE):
                await queue.enter(asked)
        finally:
            began, self._since = self._since, queue.clock()
            self._exchange.waited += self._since - began
            self._meter.queued(self._backend, asked.klass, self._since - began)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        queue = self._queue
        if queue is not None:
            if isinstance(error, HttpFailure) and error.status == _TOO_MANY:
                error = Unavailable(error.message)  # the upstream says that it has too much
            queue.leave(self._asked.cost, queue.clock() - self._since, error)


def _number(name: bytes, value: bytes) -> int:
    if not value.isdigit() or len(value) > _DIGITS:
        raise InvalidInput(
            f"`{name.decode()}` is `{value[:40].decode('latin-1')}`",
            hint=f"it is a number of at most {_DIGITS} digits",
        )
    return int(value)


def _klass(value: bytes) -> Klass:
    found = _KLASSES.get(value)
    if found is None:
        raise InvalidInput(
            f"`{_CLASS.decode()}` is `{value[:40].decode('latin-1')}`",
            hint=f"it is one of {', '.join(Klass)}",
        )
    return found
