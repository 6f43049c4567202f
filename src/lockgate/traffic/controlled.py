"""A backend behind its queue, its breaker and the retry budget."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lockgate.domain.call import DataClass
from lockgate.domain.inference import Classify, Dispatch, Embed, Generate, Result
from lockgate.errors import ModelMissing, Overloaded, Unavailable
from lockgate.ports import Backend
from lockgate.traffic.breaker import Breaker, BreakerState
from lockgate.traffic.lane import Klass
from lockgate.traffic.queue import Queue
from lockgate.traffic.retry_budget import MOST_RETRIES, RetryBudget

_CHARACTERS_A_TOKEN = 4
"""Of English text, about. The queue learns the time per token in whatever it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Urgency:
    """When an inference has to be done, and how it stands to others."""

    deadline: float
    """On the queue's clock."""
    klass: Klass = Klass.ONLINE
    priority: int = 0


class ControlledBackend:
    """Implements `ports.Backend` around another one.

    `urgency` says when the inference that is dispatched now has to be done. `budget` is one for
    the whole process.
    """

    def __init__(
        self,
        name: str,
        backend: Backend,
        *,
        queue: Queue,
        breaker: Breaker,
        budget: RetryBudget,
        urgency: Callable[[], Urgency],
    ) -> None:
        self._name = name
        self._backend = backend
        self._queue = queue
        self._breaker = breaker
        self._budget = budget
        self._urgency = urgency

    @property
    def data_classes(self) -> frozenset[DataClass]:
        return self._backend.data_classes

    async def infer(self, dispatch: Dispatch) -> Result:
        """As `ports.Backend.infer`; a failure is tried again as long as the budget allows.

        Raises:
            Overloaded: it cannot be done in time, or the circuit is open.

        """
        urgency = self._urgency()
        self._budget.attempted()
        for left in range(MOST_RETRIES, -1, -1):
            try:
                return await self._once(dispatch, urgency)
            except (Overloaded, ModelMissing):
                raise
            except Unavailable:
                is_open = self._breaker.state is BreakerState.OPEN
                if not left or is_open or not self._budget.may_retry():
                    raise
        raise AssertionError("the last try returns or raises")

    async def _once(self, dispatch: Dispatch, urgency: Urgency) -> Result:
        cost = cost_of(dispatch)
        slot = self._queue.slot(cost, urgency.klass, urgency.deadline, priority=urgency.priority)
        async with slot:
            # Asked only now: a probe is not to wait in the queue.
            if not self._breaker.allow():
                raise Overloaded(
                    f"the backend `{self._name}` fails and is left alone for a while",
                    retry_after_s=max(self._breaker.retry_after_s, 1.0),
                )
            began = self._queue.clock()
            try:
                result = await self._backend.infer(dispatch)
            except ModelMissing:
                self._breaker.forget()
                raise
            except Unavailable:
                self._breaker.record(ok=False, seconds=self._queue.clock() - began)
                raise
            except asyncio.CancelledError:
                self._given_up(self._queue.clock() - began)
                raise
            self._breaker.record(ok=True, seconds=self._queue.clock() - began)
            return result

    def _given_up(self, seconds: float) -> None:
        # A caller that went away says nothing of the backend; one whose patience ended does.
        if seconds > self._breaker.slow_s:
            self._breaker.record(ok=False, seconds=seconds)
        else:
            self._breaker.forget()


def cost_of(dispatch: Dispatch) -> int:
    """Return about how many tokens a dispatch takes, those it may write included."""
    match dispatch.request:
        case Generate(messages=messages, max_tokens=most):
            return sum(len(m.content) for m in messages) // _CHARACTERS_A_TOKEN + most
        case Embed(texts=texts):
            return max(1, sum(map(len, texts)) // _CHARACTERS_A_TOKEN)
        case Classify(rows=rows):
            return max(1, len(rows))
