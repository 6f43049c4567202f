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
from lockgate.server.exchange import Exchange
from lockgate.server.holding import open_circuit
from lockgate.upstream.reply import Reply, Stream
from lockgate.upstream.request import Request

T = TypeVar("T", Reply, Stream)

_FAULT = 500


@dataclass(frozen=True, slots=True)
class Asking:
    """Used for every upstream of a gateway."""

    controls: Controls
    meter: GatewayMeter

    def fetch(self, exchange: Exchange, model: UpstreamModel, request: Request) -> Awaitable[Reply]:
        """Return the whole answer. Raises as `Client.fetch`.

        Raises:
            Overloaded: the circuit is open.

        """
        return self._ask(exchange, model, model.client.fetch, request)

    def open(self, exchange: Exchange, model: UpstreamModel, request: Request) -> Awaitable[Stream]:
        """Return the answer at its head. As `fetch`."""
        return self._ask(exchange, model, model.client.open, request)

    async def _ask(
        self,
        exchange: Exchange,
        model: UpstreamModel,
        ask: Callable[[Request], Awaitable[T]],
        request: Request,
    ) -> T:
        retries = self.controls.retries
        retries.attempted()
        while True:
            try:
                answer = await self._once(exchange, model, ask, request)
            except UpstreamTimeout:
                raise  # its time is used up
            except Unavailable:
                if not self._may_retry(model):
                    raise
                continue
            if answer.status < _FAULT or not self._may_retry(model):
                return answer
            if not isinstance(answer, Reply):
                answer.close()

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
