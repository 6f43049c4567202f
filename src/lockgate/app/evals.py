"""Runs an evaluation suite on the tasks of this installation."""

import hashlib
import time
from array import array
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate import __version__
from lockgate.app.tasks import find_task, task_folders
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.usage import Usage
from lockgate.errors import InvalidInput, NotFound, UsageError
from lockgate.evals.assertion import Assertion, Response
from lockgate.evals.expand import Case, Expansion, estimate
from lockgate.evals.files import Files
from lockgate.evals.gate.evidence import gather, read_baseline
from lockgate.evals.gate.rule import wanted
from lockgate.evals.gate.ruling import Ruling
from lockgate.evals.javascript import parse
from lockgate.evals.load import load_gate, load_suite
from lockgate.evals.observe import observe
from lockgate.evals.report.document import Report
from lockgate.evals.results import Journal, Result, read_results
from lockgate.evals.run import DEFAULT_CONCURRENCY, Embed, Respond, Runner
from lockgate.evals.suite import Place, Prompt, Provider, Suite, TestCase
from lockgate.evals.summary import Summary
from lockgate.ports import Progress, Task

if TYPE_CHECKING:
    from lockgate.app.engine import Engine

CONFIG = "promptfooconfig.yaml"
ECHO = "echo"
TASK_PREFIX = "lockgate:task:"
_EMBEDDER = "minilm"
_EXPECTED = "expected"
_PAGE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """What the command line asks for."""

    target: str = ""
    """A suite's file, a folder with one, or the name of a task; nothing: `promptfooconfig.yaml`."""
    engine: str | None = None
    providers: tuple[str, ...] = ()
    """In place of the suite's."""
    results: Path | None = None
    base: Path | None = None
    """Results that reports compare with."""
    baseline: Path | None = None
    """Results that the gates compare with."""
    policy: Path | None = None
    """A file whose `x-gate` holds in place of the suite's."""
    concurrency: int | None = None
    record: Path | None = None
    playback: Path | None = None


async def evaluate(
    loaded: Loaded, environment: Environment, options: EvalOptions, progress: Progress
) -> Report:
    """Run a suite, and return what there is to report.

    Raises:
        InvalidConfig: the suite is not valid.
        NotFound: there is no such suite or task.
        UsageError: a provider of the suite is not here.
        StorageFailed: results cannot be written; run again to go on.

    """
    suite, shown, files = _suite(loaded, options)
    if options.policy:
        suite = replace(suite, gate=load_gate(options.policy))
    if options.providers:
        suite = replace(suite, providers=tuple(Provider(id=name) for name in options.providers))
    _require_baseline(suite, options)
    tasks = _tasks(loaded, suite)
    release = _release(loaded, environment, tasks, options.engine)
    results = options.results or _kept(environment, shown, files)
    summary = Summary(gate=suite.gate, derived=suite.metrics)
    async with _answering(loaded, environment, tasks, options) as (respond, embed):
        runner = Runner(
            respond=respond,
            files=files,
            embed=embed,
            observe=_observing(suite),
            concurrency=options.concurrency or suite.concurrency or DEFAULT_CONCURRENCY,
        )
        progress.start(f"evaluating {shown}", estimate(suite))
        try:
            with Journal(results) as journal:
                await runner.run(
                    Expansion(suite, files, release=release), journal, summary, progress
                )
                journal.finish()
        finally:
            progress.finish()
    if suite.gate.rules:
        summary.rulings = _rulings(suite, results, options)
    base = options.base or options.baseline
    return Report(
        suite=shown,
        description=suite.description,
        version=__version__,
        summary=summary,
        results=_reader(results),
        base=_reader(base) if base else None,
        notices=suite.notices,
        gate_file=_shown(options.policy) if options.policy else "",
    )


def _reader(path: Path) -> Callable[[], Iterator[Result]]:
    return lambda: read_baseline(path)


def _shown(path: Path) -> str:
    """Return a path as reports have it: relative to here, if it is below."""
    resolved, here = path.resolve(), Path.cwd().resolve()
    return resolved.relative_to(here).as_posix() if resolved.is_relative_to(here) else path.name


def _require_baseline(suite: Suite, options: EvalOptions) -> None:
    """Refuse before the work what could not be judged after it."""
    needing = [rule for rule in suite.gate.rules if rule.against_baseline]
    if needing and options.baseline is None:
        raise UsageError(
            f"`{needing[0].name}` compares with a baseline, and there is none",
            hint="give the results of the release that runs now: --baseline FILE",
        )


def _observing(suite: Suite) -> Callable[[Case, Response], JsonObject] | None:
    noted = wanted(suite.gate.rules)
    return partial(observe, noted) if noted.anything else None


def _rulings(suite: Suite, results: Path, options: EvalOptions) -> tuple[Ruling, ...]:
    from lockgate.app.evals_gates import rule_on

    baseline = gather(read_baseline(options.baseline)) if options.baseline else None
    return rule_on(suite.gate, gather(read_results(results)), baseline)


def _suite(loaded: Loaded, options: EvalOptions) -> tuple[Suite, str, Files]:
    """Return the suite, its name for people, and the files that it may read."""
    target = options.target or CONFIG
    path = Path(target)
    if path.is_dir():
        path /= CONFIG
    if not path.is_file():
        task = find_task(loaded, target) if options.target else None
        if task is None:
            raise NotFound(
                f"there is neither a suite nor a task `{target}`",
                hint="give a promptfooconfig.yaml, or a name of `lockgate task list`",
            )
        folder = task_folders(loaded).get(task.spec.name)
        if folder is None or not (folder / CONFIG).is_file():
            here = Path.cwd()
            return _own_cases(task, here), task.spec.name, Files(here, here.resolve())
        path = folder / CONFIG
    here = Path.cwd().resolve()
    resolved = path.resolve()
    root = here if resolved.is_relative_to(here) else resolved.parent
    suite = load_suite(path, root=root)
    if not suite.providers and not options.providers:
        raise UsageError(
            f"`{path}` names no providers", hint=f"add `{TASK_PREFIX}NAME` or `{ECHO}` to it"
        )
    return suite, resolved.relative_to(root).as_posix(), Files(resolved.parent, root)


def _own_cases(task: Task, folder: Path) -> Suite:
    """Return a task's own evaluation cases as a suite."""
    name = task.spec.name
    tests = tuple(
        TestCase(
            place=Place(path=f"{name}/cases.jsonl", line=number),
            description=case.name,
            variables={**case.input},
            assertions=(Assertion(type="is-json", value=_members(case.expect), has_value=True),),
            options={"disableVarExpansion": True},
        )
        for number, case in enumerate(task.spec.cases, 1)
    )
    return Suite(
        description=f"{task.spec.title}: the task's own cases",
        folder=folder,
        prompts=(Prompt(raw="", label=_EXPECTED),),
        providers=(Provider(id=f"{TASK_PREFIX}{name}", config={"input": "variables"}),),
        sources=tests,
        default=TestCase(place=Place(path=name, line=1)),
    )


def _members(expected: JsonObject) -> JsonObject:
    """Return the JSON Schema of objects that have these members, nested ones likewise."""
    return {
        "type": "object",
        "required": list(expected),
        "properties": {
            name: _members(value) if isinstance(value, Mapping) else {"const": value}
            for name, value in expected.items()
        },
    }


def _tasks(loaded: Loaded, suite: Suite) -> Mapping[str, Task]:
    """Return the tasks that the suite's providers name.

    Raises:
        UsageError: a provider is neither a task nor `echo`; all of them are listed.

    """
    found: dict[str, Task] = {}
    unknown: list[str] = []
    for provider in suite.providers:
        if provider.id == ECHO:
            continue
        name = provider.id.removeprefix(TASK_PREFIX)
        task = find_task(loaded, name) if name != provider.id else None
        if task is None:
            unknown.append(f"`{provider.id}`")
        else:
            found[provider.id] = task
    if unknown:
        raise UsageError(
            f"there is no provider {', '.join(unknown)} here",
            hint=f"run it on one of ours: --provider {TASK_PREFIX}NAME, or --provider {ECHO}",
        )
    return found


def _release(
    loaded: Loaded, environment: Environment, tasks: Mapping[str, Task], engine: str | None
) -> str:
    """Name what answers: a result of another release is asked for again."""
    from lockgate.app.models import model_store
    from lockgate.app.releases import release_of

    models = model_store(loaded, environment)
    pinned = [f"{n} {release_of(loaded, models, t.spec).digest}" for n, t in sorted(tasks.items())]
    return "\n".join([*pinned, f"engine {engine}"])


def _kept(environment: Environment, shown: str, files: Files) -> Path:
    """Return where results are without `--results`: one place a suite."""
    name = hashlib.sha256(f"{files.folder}\0{shown}".encode()).hexdigest()[:16]
    return environment.state_dir / "evals" / f"{name}.jsonl"


@asynccontextmanager
async def _answering(
    loaded: Loaded, environment: Environment, tasks: Mapping[str, Task], options: EvalOptions
) -> AsyncGenerator[tuple[Respond, Embed]]:
    """Give what answers cases and what embeds texts; for `echo` alone no engine is opened."""
    from lockgate.app.backends import Backends, Cassettes
    from lockgate.app.models import model_store

    cassettes = Cassettes(record=options.record, playback=options.playback)
    backends: list[Backends] = []

    async def embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if not backends:
            models = model_store(loaded, environment)
            backends.append(Backends(loaded, environment, models, cassettes))
        return await _embedded(loaded, environment, backends[0], texts)

    try:
        if not tasks:
            yield _echo, embed
            return
        async with _engine(loaded, environment, cassettes) as engine:
            answers = _Answers(loaded, engine, tasks, options.engine)
            yield answers.respond, embed
    finally:
        for opened in backends:
            opened.close()


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

    async def respond(self, case: Case) -> Response:
        task = self.tasks.get(case.provider.id)
        if task is None:
            return await _echo(case)
        from lockgate.app.calls import new_call

        call = new_call(self.loaded, task.spec, _input(task, case), engine=self.kind)
        started = time.monotonic_ns()
        answer = await self.engine.answering.answer(call, _Silence())
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
            degraded=answer.degraded,
        )


def _measures(usage: Usage, taken_ms: float) -> dict[str, float]:
    """Return what gates of performance may look at."""
    found = {"memory_mib": _resident_mib()}
    if usage.output_tokens and taken_ms > 0:
        found["tokens_per_s"] = usage.output_tokens / taken_ms * 1e3
    return found


def _resident_mib() -> float:
    """Return the memory that this process holds now, models that are mapped in included."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE / (1 << 20)


def _input(task: Task, case: Case) -> JsonObject:
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


class _Silence:
    """Draws nothing: the run has a bar, its calls have none."""

    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...
