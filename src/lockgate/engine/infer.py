"""The path of an inference. `_CallModels.infer` reads top to bottom.

    record( budget -> egress -> backend -> meter )

Cache, queue and breaker take their places between egress and backend with the gateway.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lockgate.domain.call import Call
from lockgate.domain.inference import (
    Classification,
    Classify,
    Completion,
    Dispatch,
    Embed,
    Embedding,
    Generate,
    Inference,
    Result,
)
from lockgate.domain.policy import authorise_egress
from lockgate.domain.release import Release
from lockgate.domain.usage import Budget, Usage
from lockgate.engine.record import Entry
from lockgate.errors import Corrupt, LockgateError, OverBudget, Unavailable
from lockgate.ports import Backend, Models, Stopwatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferring:
    """Runs the inferences of calls on the backends that their releases name."""

    backends: Mapping[str, Backend]
    stopwatch: Stopwatch

    def models(self, call: Call, release: Release, budget: Budget, entry: Entry) -> Models:
        """Return what a task may use for one call."""
        return _CallModels(inferring=self, call=call, release=release, budget=budget, entry=entry)


@dataclass(slots=True, kw_only=True)
class _CallModels:
    """Implements `ports.Models` for one call. Mutable: it counts what the call has used."""

    inferring: Inferring
    call: Call
    release: Release
    budget: Budget
    entry: Entry
    used: Usage = field(default_factory=Usage)

    async def generate(self, request: Generate) -> Completion:
        result = await self.infer(request)
        assert isinstance(result, Completion), "a backend returns what was asked for"
        return result

    async def embed(self, request: Embed) -> Embedding:
        result = await self.infer(request)
        assert isinstance(result, Embedding), "a backend returns what was asked for"
        return result

    async def classify(self, request: Classify) -> Classification:
        result = await self.infer(request)
        assert isinstance(result, Classification), "a backend returns what was asked for"
        return result

    async def infer(self, request: Inference) -> Result:
        """Run one inference, and note it whether it succeeds or not."""
        pin = self.release.pin(request.role)
        dispatch = Dispatch(model=pin.name, digest=pin.digest, request=request)
        started = self.inferring.stopwatch()
        try:
            self._spend(request)
            backend = self.inferring.backends[pin.backend]
            authorise_egress(self.call.data_class, pin.backend, backend.data_classes)
            result = _checked(await self._dispatch(backend, dispatch))
        except LockgateError as error:
            self.entry.inferred(dispatch, error)
            raise
        taken = self.inferring.stopwatch() - started
        metered = replace(result, usage=replace(result.usage, inferences=1, duration_us=taken))
        self.used += metered.usage
        self.entry.inferred(dispatch, metered)
        return metered

    def _spend(self, request: Inference) -> None:
        """Refuse what the budget cannot bear, before anything is dispatched."""
        if self.used.inferences >= self.budget.inferences:
            raise OverBudget(
                f"the call used its budget of {self.budget.inferences} inference(s)",
                hint=f"raise `tasks.{self.call.task}.budget.inferences`",
            )
        wanted = request.max_tokens if isinstance(request, Generate) else 0
        left = self.budget.output_tokens - self.used.output_tokens
        if wanted > left:
            raise OverBudget(
                f"the call asks for {wanted} output tokens and its budget has {left} left",
                hint=f"raise `tasks.{self.call.task}.budget.output_tokens`",
            )

    async def _dispatch(self, backend: Backend, dispatch: Dispatch) -> Result:
        try:
            async with asyncio.timeout(self.budget.timeout_s):
                return await backend.infer(dispatch)
        except TimeoutError:
            raise Unavailable(
                f"the model `{dispatch.model}` gave nothing in {self.budget.timeout_s} s",
                hint=f"raise `tasks.{self.call.task}.budget.timeout_s`",
            ) from None
        except Corrupt as error:
            # A damaged model is a missing one to the call; the message and the hint stay.
            raise Unavailable(error.message, hint=error.hint) from error


def _checked(result: Result) -> Result:
    """Refuse text that is not Unicode: it could not be recorded, stored or printed."""
    if isinstance(result, Completion):
        try:
            result.text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Unavailable(f"the model wrote text that is not Unicode: {error}") from None
    return result
