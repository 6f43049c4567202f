"""Asks an upstream behind its breaker, again only within the retry budget."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_meter import GatewayMeter
from lockgate.app.gateway_models import UpstreamModel
from lockgate.errors import Unavailable, UpstreamTimeout
from lockgate.server.closing import Closing
from lockgate.server.exchange import Exchange
from lockgate.server.failures import costs_nothing
from lockgate.server.holding import open_circuit
from lockgate.server.note import Note
from lockgate.traffic.retry_budget import MOST_RETRIES
from lockgate.upstream.reply import Reply, Stream
from lockgate.upstream.request import Request

T = TypeVar("T", Reply, Stream)

_FAULT = 500


@dataclass(frozen=True, slots=True)
class Asking:
    """Used for every upstream of a gateway."""

    controls: Controls
    meter: GatewayMeter
    closing: Closing

    def fetch(
        self, exchange: Exchange, model: UpstreamModel, request: Request, note: Note
    ) -> Awaitable[Reply]:
        """Return the whole answer. Raises as `Client.fetch`.

        Raises:
            Overloaded: the circuit is open.
            OverBudget: nothing is left for a second try, after a first that may have cost.

        """
        return self._ask(exchange, model, model.client.fetch, request, note)

    def open(
        self, exchange: Exchange, model: UpstreamModel, request: Request, note: Note
    ) -> Awaitable[Stream]:
        """Return the answer at its head. As `fetch`."""
        return self._ask(exchange, model, model.client.open, request, note)

    async def _ask(
        self,
        exchange: Exchange,
        model: UpstreamModel,
        ask: Callable[[Request], Awaitable[T]],
        request: Request,
        note: Note,
    ) -> T:
        retries = self.controls.retries
        retries.attempted()
        for left in range(MOST_RETRIES, -1, -1):
            note.ask(exchange, model)
            try:
                answer = await self._once(exchange, model, ask, request)
            except UpstreamTimeout:
                raise  # its time is used up
            except Unavailable as error:
                if not left or not self._may_retry(model):
                    raise
                if not costs_nothing(error):
                    await self.closing.lose(exchange, note)
                continue
            if answer.status < _FAULT or not left or not self._may_retry(model):
                return answer
            if not isinstance(answer, Reply):
                answer.close()
        raise AssertionError("the last try returns or raises")

    def _may_retry(self, model: UpstreamModel) -> bool:
        breaker = self.controls.breakers.get(model.upstream)
        if breaker is not None and breaker.retry_after_s > 0:
            return False
        allowed = self.controls.retries.may_retry()
        self.meter.retried(model.upstream, allowed=allowed)
        return allowed

    async def _once(
        self,
        exchange: Exchange,
        model: UpstreamModel,
        ask: Callable[[Request], Awaitable[T]],
        request: Request,
    ) -> T:
        breaker = self.controls.breakers.get(model.upstream)
        if breaker is not None and not breaker.allow():
            raise open_circuit(model.upstream, breaker.retry_after_s)
        began = time.perf_counter()
        result = "failed"
        try:
            answer = await ask(request)
            result = "ok" if answer.status < _FAULT else "failed"
        except asyncio.CancelledError:
            if breaker is not None:
                breaker.forget()  # a client that leaves says nothing of the upstream
            result = "cancelled"
            raise
        except Unavailable:
            if breaker is not None:
                breaker.record(ok=False, seconds=time.perf_counter() - began)
            raise
        finally:
            spent = time.perf_counter() - began
            exchange.waited += spent
            self.meter.asked(model.upstream, result, spent)
        if breaker is not None:
            breaker.record(ok=answer.status < _FAULT, seconds=spent)
        return answer
