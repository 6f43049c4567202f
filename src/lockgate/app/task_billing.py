"""Money for the inferences of tasks: reserved before each, settled after it.

A call of a task is charged to its key, its team and the task. Each inference is one event in the
ledger, `CALL.NUMBER`; what the rules answer costs nothing. A budget that is used up is, to the
task, a model that does not answer.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, replace
from itertools import count

from lockgate.app.billing import Bill, BilledCall, Billing
from lockgate.app.gateway_observed import Observer
from lockgate.domain.call import Call, DataClass
from lockgate.domain.digest import canonical
from lockgate.domain.inference import Classification, Dispatch, Embed, Generate, Inference, Result
from lockgate.domain.money import TokenCounts
from lockgate.domain.release import Release
from lockgate.domain.usage import Budget, Usage
from lockgate.engine.infer import Inferring
from lockgate.engine.record import Entry
from lockgate.errors import Unavailable
from lockgate.ports import Backend, Models

_TEMPLATE_TOKENS = 16
"""More than chat templates add around a message."""
_BYTES_PER_TOKEN = 3
_NANOS_PER_MICRO = 1000
_Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who pays for a call of a task."""

    key: str
    team: str
    route: str


class TaskBilling:
    """Opens bills for inferences on another loop than the one that borrows money."""

    def __init__(
        self,
        billing: Billing,
        loop: asyncio.AbstractEventLoop,
        *,
        is_local: Callable[[str], bool],
    ) -> None:
        """`is_local` says of a backend's name whether it runs in this process."""
        self._billing = billing
        self._loop = loop
        self.is_local = is_local

    async def open(self, call: BilledCall, ceiling: TokenCounts) -> Bill:
        """As `Billing.open`."""
        found = self._billing.open_now(call, ceiling)
        if found is not None:
            return found
        asked = asyncio.run_coroutine_threadsafe(self._billing.open(call, ceiling), self._loop)
        try:
            return await asyncio.shield(asyncio.wrap_future(asked))
        except asyncio.CancelledError:
            asked.add_done_callback(_give_back)  # it may be opened all the same
            raise


def _give_back(asked: "Future[Bill]") -> None:
    if not asked.cancelled() and asked.exception() is None:
        asked.result().cancel()


@dataclass(slots=True)
class Stopwatch:
    """How long a backend worked on one inference, all attempts together; waiting is not work."""

    seconds: float = 0.0
    unheard: int = 0
    """Attempts that ended without an answer and may have been work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed(Dispatch):
    """A dispatch that is timed where it is worked on, behind the queue."""

    stopwatch: Stopwatch = field(compare=False)


class TimedBackends(Mapping[str, Backend]):
    """Backends that tell how long they worked. They stand behind queues, and see no wait."""

    def __init__(self, backends: Mapping[str, Backend], clock: _Clock = time.perf_counter) -> None:
        self._backends = backends
        self._clock = clock

    def __getitem__(self, name: str) -> Backend:
        return _TimedBackend(self._backends[name], self._clock)

    def __iter__(self) -> Iterator[str]:
        return iter(self._backends)

    def __len__(self) -> int:
        return len(self._backends)


@dataclass(frozen=True, slots=True)
class _TimedBackend:
    """Implements `ports.Backend` around another one."""

    backend: Backend
    clock: _Clock

    @property
    def data_classes(self) -> frozenset[DataClass]:
        return self.backend.data_classes

    async def infer(self, dispatch: Dispatch) -> Result:
        if not isinstance(dispatch, Timed):
            return await self.backend.infer(dispatch)
        watch = dispatch.stopwatch
        began = self.clock()
        try:
            return await self.backend.infer(dispatch)
        except BaseException as error:
            watch.unheard += not (isinstance(error, Unavailable) and error.is_free)
            raise
        finally:
            watch.seconds += self.clock() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledInferring(Inferring):
    """Runs the inferences of one call, each charged to who pays for it."""

    billing: TaskBilling
    payer: Payer
    observer: Observer
    """Gets to know what it costs."""

    def models(self, call: Call, release: Release, budget: Budget, entry: Entry) -> Models:
        backends = _BilledBackends(self, call, release, budget)
        unbilled = Inferring(backends=backends, stopwatch=self.stopwatch)
        return unbilled.models(call, release, budget, entry)


def billed(
    inferring: Inferring, billing: TaskBilling, payer: Payer, observer: Observer
) -> BilledInferring:
    """Return what runs the inferences of a call that `payer` pays for."""
    known = {one.name: getattr(inferring, one.name) for one in fields(Inferring)}
    return BilledInferring(**known, billing=billing, payer=payer, observer=observer)


class _BilledBackends(Mapping[str, Backend]):
    """The backends as one call has them."""

    def __init__(
        self, inferring: BilledInferring, call: Call, release: Release, budget: Budget
    ) -> None:
        self._backends = inferring.backends
        self.billing = inferring.billing
        self.payer = inferring.payer
        self.observer = inferring.observer
        self.call = call
        self.release = str(release.digest)
        self.most_us = int(budget.timeout_s * 1e6)
        self._numbers = count(1)

    def __getitem__(self, name: str) -> Backend:
        return _Billed(name, self._backends[name], self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._backends)

    def __len__(self) -> int:
        return len(self._backends)

    def charged(self, backend: str, model: str) -> BilledCall:
        """Return what the next inference is charged to."""
        return BilledCall(
            id=f"{self.call.id}.{next(self._numbers)}",
            key=self.payer.key,
            team=self.payer.team,
            task=self.call.task,
            route=self.payer.route,
            model=model,
            release=self.release,
            local=self.billing.is_local(backend),
        )


@dataclass(frozen=True, slots=True)
class _Billed:
    """Implements `ports.Backend` around another one."""

    name: str
    backend: Backend
    call: _BilledBackends

    @property
    def data_classes(self) -> frozenset[DataClass]:
        return self.backend.data_classes

    async def infer(self, dispatch: Dispatch) -> Result:
        """As `ports.Backend.infer`. Raises, too, what `Billing.open` does."""
        request = dispatch.request
        charged = self.call.charged(self.name, dispatch.model)
        bill = await self.call.billing.open(charged, _ceiling(request, self.call.most_us))
        watch = Stopwatch()
        timed = Timed(
            model=dispatch.model,
            digest=dispatch.digest,
            request=request,
            trace_headers=dispatch.trace_headers,
            stopwatch=watch,
        )
        try:
            result = await self.backend.infer(timed)
        except BaseException:
            if watch.unheard or (charged.local and watch.seconds):
                unheard = _unheard(request, watch, local=charged.local)
                self.call.observer.nanos += bill.settle(unheard, cancelled=True)
            else:
                bill.cancel()
            raise
        counts = _counts(request, result, watch)
        if watch.unheard:
            before = _unheard(request, watch, local=charged.local)
            counts = replace(counts + before, duration_us=counts.duration_us)
        nanos = bill.settle(counts)
        self.call.observer.nanos += nanos
        usage = replace(result.usage, cost_micros=-(-nanos // _NANOS_PER_MICRO))
        return replace(result, usage=usage)


def _ceiling(request: Inference, most_us: int) -> TokenCounts:
    """Return the most that an inference can use: a token has at least a byte."""
    match request:
        case Generate():
            given, written = (
                _bytes(request) + _TEMPLATE_TOKENS * (len(request.messages) + 1),
                (request.max_tokens),
            )
        case Embed():
            given, written = _bytes(request) + _TEMPLATE_TOKENS * len(request.texts), 0
        case _:
            given, written = 0, 0
    return TokenCounts(input_tokens=given, output_tokens=written, duration_us=most_us)


def _bytes(request: Inference) -> int:
    match request:
        case Generate():
            texts = sum(len(message.content.encode()) for message in request.messages)
            return texts + (0 if request.schema is None else len(canonical(request.schema)))
        case Embed():
            return sum(len(text.encode()) for text in request.texts)
        case _:
            return 0


def _counts(request: Inference, result: Result, watch: Stopwatch) -> TokenCounts:
    usage: Usage = result.usage
    if usage.input_tokens <= 0 and usage.output_tokens <= 0:
        if not isinstance(result, Classification):
            return _estimated(request, watch)
        return TokenCounts(duration_us=int(watch.seconds * 1e6))
    return TokenCounts(
        input_tokens=max(0, usage.input_tokens),
        output_tokens=max(0, usage.output_tokens),
        duration_us=int(watch.seconds * 1e6),
    )


def _unheard(request: Inference, watch: Stopwatch, *, local: bool) -> TokenCounts:
    """Return what the attempts took of which nothing was heard: elsewhere the most, each."""
    once = _estimated(request, watch)
    if local:
        return once
    written = request.max_tokens if isinstance(request, Generate) else 0
    return replace(
        once,
        input_tokens=once.input_tokens * watch.unheard,
        output_tokens=written * watch.unheard,
    )


def _estimated(request: Inference, watch: Stopwatch) -> TokenCounts:
    return TokenCounts(
        input_tokens=-(-_bytes(request) // _BYTES_PER_TOKEN),
        duration_us=int(watch.seconds * 1e6),
        estimated=True,
    )
