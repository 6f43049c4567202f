"""Answers the cases of a suite with tasks, and embeds texts, inside this process."""

import time
from array import array
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lockgate.app.classified import Rows, watched
from lockgate.app.evals_judging import judge_of
from lockgate.app.evals_models import Models
from lockgate.app.progress import Quiet
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.call import Principal
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.usage import Usage
from lockgate.errors import InvalidInput
from lockgate.evals.asking.services import Embed, Judge
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case
from lockgate.evals.javascript import parse
from lockgate.evals.measured import Measurements
from lockgate.evals.run import Respond
from lockgate.ports import Task

if TYPE_CHECKING:
    from lockgate.app.engine import Engine

_EMBEDDER = "minilm"
_PAGE = 4096
_ROWS = 50
"""Of one case that are kept for the gates on features."""


class Wanted(Protocol):
    """What of the command line's options decides how answers are made."""

    @property
    def engine(self) -> str | None: ...
    @property
    def judge(self) -> str: ...
    @property
    def record(self) -> Path | None: ...
    @property
    def features(self) -> bool: ...
    @property
    def models(self) -> Mapping[str, Digest]: ...
    @property
    def playback(self) -> Path | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What answers cases, and what assertions may ask."""

    respond: Respond
    embed: Embed
    judge: Judge


@asynccontextmanager
async def answering(
    loaded: Loaded, environment: Environment, tasks: Mapping[str, Task], options: Wanted
) -> AsyncGenerator[Answering]:
    """Give what answers cases and what embeds texts; for `echo` alone no engine is opened."""
    from lockgate.app.backends import Backends, Cassettes
    from lockgate.app.models import model_store

    cassettes = Cassettes(record=options.record, playback=options.playback)
    backends: list[Backends] = []

    def opened() -> Backends:
        if not backends:
            models = model_store(loaded, environment)
            backends.append(Backends(loaded, environment, models, cassettes))
        return backends[0]

    async def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return await _embedded(loaded, environment, opened(), texts)

    store = partial(model_store, loaded, environment)
    judge = judge_of(options.judge, store, opened)
    models = Models(digests=options.models, store=store, backends=opened)

    try:
        if not tasks:
            plain = _beside(models, _echo)
            with _measuring(plain, options) if options.models else nullcontext(plain) as respond:
                yield Answering(respond=respond, embed=embed, judge=judge)
            return
        async with _engine(loaded, environment, cassettes) as engine:
            answers = _Answers(loaded, engine, tasks, options.engine, features=options.features)
            with _measuring(_beside(models, answers.respond), options) as respond:
                yield Answering(respond=respond, embed=embed, judge=judge)
    finally:
        for used in backends:
            used.close()


def _beside(models: Models, others: Respond) -> Respond:
    """Let models answer their cases, and the others theirs."""

    async def respond(case: Case) -> Response:
        return await (models.respond if case.provider.id in models.digests else others)(case)

    return respond


@contextmanager
def _measuring(respond: Respond, options: Wanted) -> Iterator[Respond]:
    """Record what is measured beside the inferences, and play it back with them."""
    if options.playback is not None:
        recorded = Measurements.read(options.playback)

        async def played(case: Case) -> Response:
            response = await respond(case)
            return recorded.given(case, response) if recorded.present else response

        yield played
    elif options.record is not None:
        kept = Measurements.read(options.record)

        async def measured(case: Case) -> Response:
            response = await respond(case)
            kept.keep(case, response)
            return response

        try:
            yield measured
        finally:
            kept.write()
    else:
        yield respond


def _engine(
    loaded: Loaded, environment: Environment, cassettes: object
) -> "AbstractAsyncContextManager[Engine]":
    from lockgate.app.backends import Cassettes
    from lockgate.app.engine import open_engine

    assert isinstance(cassettes, Cassettes)
    return open_engine(loaded, environment, cassettes=cassettes)


async def _echo(case: Case) -> Response:
    return Response(output=case.sent, latency_ms=0.0, cost=0.0)


async def _embedded(
    loaded: Loaded, environment: Environment, backends: Mapping[str, object], texts: Sequence[str]
) -> list[list[float]]:
    """Embed with the built-in model, inside this process."""
    from lockgate.app.models import model_store
    from lockgate.domain.inference import Dispatch, Embed, Embedding
    from lockgate.ports import Backend

    models = model_store(loaded, environment)
    backend: Backend = backends[models.backend(_EMBEDDER)]  # type: ignore[assignment]
    request = Embed(texts=tuple(texts))
    result = await backend.infer(
        Dispatch(model=_EMBEDDER, digest=models.digest(_EMBEDDER), request=request)
    )
    assert isinstance(result, Embedding)
    return [array("f", vector).tolist() for vector in result.vectors]


@dataclass(frozen=True, slots=True)
class _Answers:
    """Answers cases with calls of tasks: each is metered, budgeted and in the audit log."""

    loaded: Loaded
    engine: "Engine"
    tasks: Mapping[str, Task]
    kind: str | None
    features: bool = False
    """Keep what classifiers are given."""

    async def respond(self, case: Case) -> Response:
        task = self.tasks.get(case.provider.id)
        if task is None:
            return await _echo(case)
        from lockgate.app.calls import new_call

        call = new_call(self.loaded, task.spec, input_of(task, case), engine=self.kind)
        if case.acting is not None:
            someone = Principal(name=case.acting.name, scopes=frozenset(case.acting.scopes))
            call = replace(call, principal=someone)
        rows: Rows = {}
        ask = self.engine.answering
        if self.features:
            ask = watched(ask, rows)
        started = time.monotonic_ns()
        answer = await ask.answer(call, Quiet())
        taken = (time.monotonic_ns() - started) / 1e6
        form = case.provider.config.get("format")
        output: Json = (
            task.render(answer, form)
            if isinstance(form, str) and form in task.spec.formats
            else answer.output
        )
        return Response(
            output=output,
            latency_ms=taken,
            cost=answer.usage.cost_micros / 1e6,
            confidence=answer.confidence,
            measures=_measures(answer.usage, taken),
            features=tuple(_features(rows)),
            degraded=answer.degraded,
        )


def _features(rows: Rows) -> Iterator[JsonObject]:
    left = _ROWS
    for (model, digest), each in sorted(rows.items(), key=lambda item: item[0][0]):
        for row in each[:left]:
            yield {"model": model, "digest": str(digest), "tokens": list(row.tokens)}
        left = max(0, left - len(each))


def _measures(usage: Usage, taken_ms: float) -> dict[str, float]:
    """Return what gates of performance may look at."""
    found = {"memory_mib": _resident_mib()}
    if usage.output_tokens and taken_ms > 0:
        found["tokens_per_s"] = usage.output_tokens / taken_ms * 1e3
    return found


def _resident_mib() -> float:
    """Return the memory that this process holds now, models that are mapped in included."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE / (1 << 20)


def input_of(task: Task, case: Case) -> JsonObject:
    """Return a task's input: the prompt if it is a JSON object, else the variables, else the text.

    Raises:
        InvalidInput: the task takes neither a text nor one of the variables.

    """
    properties = task.spec.input_schema.get("properties")
    names = set(properties) if isinstance(properties, Mapping) else set()
    if case.provider.config.get("input") != "variables" and case.sent.lstrip()[:1] == "{":
        try:
            value = parse(case.sent)
        except ValueError:
            value = None
        if isinstance(value, Mapping):
            return value
    members = {name: value for name, value in case.variables.items() if name in names}
    if members or case.provider.config.get("input") == "variables":
        return members
    if "text" in names:
        return {"text": case.sent}
    raise InvalidInput(
        f"`{task.spec.name}` takes {', '.join(sorted(names))}, and the case has none of them",
        hint="give variables those names, or write the input as a JSON prompt",
    )
