"""Runs an evaluation suite on the tasks of this installation."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate import __version__
from lockgate.app.evals_answering import Answering, answering
from lockgate.app.evals_detectors import detectors
from lockgate.app.evals_evaluated import RELEASE
from lockgate.app.evals_models import models_of
from lockgate.app.evals_suites import ECHO, TASK_PREFIX, Found, find_suite, tasks_of
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.errors import UsageError
from lockgate.evals.asking.services import RunCode
from lockgate.evals.assertion import Response
from lockgate.evals.case_files import Broken
from lockgate.evals.code.run import CodeRunner
from lockgate.evals.expand import Case, Expansion, estimate
from lockgate.evals.gate.evidence import Evidence, gather, read_baseline
from lockgate.evals.gate.rule import PASS_RATE, Gate, Kind, Rule, wanted
from lockgate.evals.gate.ruling import Ruling
from lockgate.evals.grading import asked_assertions
from lockgate.evals.load import load_gate
from lockgate.evals.observe import observe
from lockgate.evals.order import shuffled
from lockgate.evals.report.document import Report
from lockgate.evals.results import Journal, Result, read_results
from lockgate.evals.run import DEFAULT_CONCURRENCY, Runner
from lockgate.evals.suite import Provider, Suite, TestCase
from lockgate.evals.summary import Summary
from lockgate.ports import Progress, Task

if TYPE_CHECKING:
    from lockgate.app.evals_changes import Changes
    from lockgate.app.evals_sequential import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """What the command line asks for."""

    target: str = ""
    """A suite's file, a folder with one, or the name of a task; nothing: `promptfooconfig.yaml`."""
    release: Digest | None = None
    """The release that must answer; nothing: what is installed."""
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
    judge: str = "smollm2"
    """The model that judges: one of this machine's."""
    stop_early: bool = False
    """Look after every case, and end as soon as the gates are sure."""
    allow_code: bool = False
    """Run the suite's `python` assertions: its author is trusted."""
    changed_since: str | None = None
    """A commit: only what has changed since then runs."""
    features: bool = False
    """Keep what classifiers are given: set where a gate asks for it."""
    models: Mapping[str, Digest] = field(default_factory=dict)
    """Models that are asked without a task: set from the suite's providers."""
    max_seconds: float | None = None
    """Start no case after so many seconds: the verdict is that of a sample."""


async def evaluate(
    loaded: Loaded, environment: Environment, options: EvalOptions, progress: Progress
) -> Report:
    """Run a suite, and return what there is to report.

    Raises:
        InvalidConfig: the suite is not valid.
        NotFound: there is no such suite or task.
        UsageError: a provider of the suite is not here, or the baseline is of another dataset.
        StorageFailed: results cannot be written; run again to go on.

    """
    found = _found(loaded, options)
    return await evaluate_found(loaded, environment, found, options, progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a program that holds a suite in its hands adds to the options."""

    select: Callable[[Case], bool] | None = None
    """Which cases run."""
    run_code: RunCode | None = None


async def evaluate_found(
    loaded: Loaded,
    environment: Environment,
    found: Found,
    options: EvalOptions,
    progress: Progress,
    *,
    chosen: Chosen | None = None,
) -> Report:
    """Run a suite that is at hand. Raises as `evaluate`."""
    chosen = chosen or Chosen()
    suite = found.suite
    _require_baseline(suite, options)
    _require_allowed(suite, options)
    tasks = tasks_of(loaded, suite)
    releases = _releases(loaded, environment, tasks)
    _require_release(options.release, releases)
    results = options.results or _kept(environment, found, options.changed_since)
    summary = Summary(gate=suite.gate, derived=suite.metrics)
    models = _models(loaded, environment, suite)
    answer = {**releases, **models}
    named = "\n".join([*(f"{n} {d}" for n, d in answer.items()), f"engine {options.engine}"])
    changes = None
    if options.changed_since is not None:
        from lockgate.app.evals_changes import changes_since

        changes = changes_since(options.changed_since, loaded, environment, found, options)
    expansion = Expansion(suite, found.files, release=named)
    cases = _touched(expansion, changes)
    if chosen.select is not None:
        cases = _selected(cases, chosen.select)
    plan = _plan(cases, suite, options)
    noted = replace(options, features=wanted(suite.gate.rules).features, models=models)
    async with answering(loaded, environment, tasks, noted) as answers:
        runner = _runner(answers, found, tasks, plan, options, chosen)
        progress.start(f"evaluating {found.shown}", estimate(suite))
        try:
            with Journal(results) as journal:
                await runner.run(plan.cases, journal, summary, progress)
                journal.finish()
        finally:
            progress.finish()
    summary.untouched = changes.untouched if changes else 0
    summary.rulings = _rulings(plan, summary, results, partial(_weights, loaded, environment))
    if summary.labelled:
        from lockgate.app.evals_judging import agreements

        summary.calibration = agreements(summary.labelled)
    base = options.base or options.baseline
    return Report(
        suite=found.shown,
        description=suite.description,
        version=__version__,
        summary=summary,
        results=_reader(results),
        base=_reader(base) if base else None,
        notices=(*suite.notices, *(changes.told() if changes else ())),
        gate_file=_shown(options.policy) if options.policy else "",
        digests=partial(_digests, found, releases, models),
    )


def _runner(
    answers: Answering,
    found: Found,
    tasks: Mapping[str, Task],
    plan: "_Plan",
    options: EvalOptions,
    chosen: Chosen,
) -> Runner:
    suite = found.suite
    return Runner(
        respond=answers.respond,
        files=found.files,
        embed=answers.embed,
        judge=answers.judge,
        run_code=chosen.run_code or (CodeRunner(found.files) if options.allow_code else None),
        detectors=detectors(),
        before=_before(options.baseline, suite),
        input_schemas={name: task.spec.input_schema for name, task in tasks.items()},
        observe=_observing(suite),
        settled=plan.watch.settled if plan.watch else None,
        may_start=_until(options.max_seconds),
        concurrency=options.concurrency or suite.concurrency or DEFAULT_CONCURRENCY,
    )


def _found(loaded: Loaded, options: EvalOptions) -> Found:
    """Return the suite with what the command line puts in place of its own."""
    found = find_suite(loaded, options.target)
    suite = found.suite
    if options.policy:
        suite = replace(suite, gate=load_gate(options.policy))
    if options.providers:
        suite = replace(suite, providers=tuple(Provider(id=name) for name in options.providers))
    if not suite.providers:
        raise UsageError(
            f"`{found.shown}` names no providers", hint=f"add `{TASK_PREFIX}NAME` or `{ECHO}` to it"
        )
    return replace(found, suite=suite)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Which cases run, in which order, and what looks at them."""

    cases: Iterable[Case | Broken]
    baseline: Evidence | None = None
    watch: "Watch | None" = None


def _touched(expansion: Expansion, changes: "Changes | None") -> Iterable[Case | Broken]:
    """Return what must run: broken entries are told, changed or not."""
    if changes is None:
        return expansion
    return (item for item in expansion if isinstance(item, Broken) or changes.touches(item))


def _selected(
    cases: Iterable[Case | Broken], select: Callable[[Case], bool]
) -> Iterator[Case | Broken]:
    return (item for item in cases if isinstance(item, Broken) or select(item))


def _plan(expansion: Iterable[Case | Broken], suite: Suite, options: EvalOptions) -> _Plan:
    baseline = gather(read_baseline(options.baseline)) if options.baseline else None
    if not options.stop_early and options.max_seconds is None:
        return _Plan(cases=expansion, baseline=baseline)
    order = shuffled(expansion, seed=suite.gate.seed)
    if not options.stop_early:
        return _Plan(cases=order.items, baseline=baseline)
    from lockgate.app.evals_sequential import watch

    return _Plan(cases=order.items, baseline=baseline, watch=watch(suite.gate, order, baseline))


def _before(path: Path | None, suite: Suite) -> Callable[[Case], Sequence[Json]] | None:
    """Return what finds the baseline's answer to a case, if an assertion may ask for it."""
    if path is None:
        return None
    single = len(suite.providers) * len(suite.prompts) == 1
    found: dict[tuple[str, str, str], Json] = {}
    for result in read_baseline(path):
        column = ("", "") if single else (result.provider, result.prompt)
        found.setdefault((*column, result.case), result.output)

    def before(case: Case) -> Sequence[Json]:
        column = ("", "") if single else (case.provider.name, case.prompt.label)
        key = (*column, case.asked)
        return (found[key],) if found.get(key) is not None else ()

    return before


def _until(seconds: float | None) -> Callable[[], bool] | None:
    if seconds is None:
        return None
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


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


def _require_allowed(suite: Suite, options: EvalOptions) -> None:
    """Refuse code before anything runs; that of files of cases is an error of its case."""
    if options.allow_code:
        return
    written = [t for t in (suite.default, *suite.sources) if isinstance(t, TestCase)]
    lines = [
        f"line {each.line}"
        for test in written
        for each in asked_assertions(test.assertions)
        if each.type == "python"
    ]
    if lines:
        raise UsageError(
            f"the suite has `python` assertions, which are code: {', '.join(lines[:10])}",
            hint="run with --allow-code if you trust the suite",
        )


def _observing(suite: Suite) -> Callable[[Case, Response], JsonObject] | None:
    noted = wanted(suite.gate.rules)
    return partial(observe, noted) if noted.anything else None


def _weights(loaded: Loaded, environment: Environment, model: str, digest: str) -> Path:
    from lockgate.app.models import model_store

    return model_store(loaded, environment).files(model, Digest.parse(digest))["weights"]


def _rulings(
    plan: _Plan, summary: Summary, results: Path, weights: Callable[[str, str], Path]
) -> tuple[Ruling, ...]:
    if plan.watch is not None:
        return plan.watch.rulings()
    gate, sampled = summary.gate, summary.skipped > 0
    if sampled and gate.pass_rate is not None:
        # A share of the cases that happened to run says nothing of the others without its error.
        gate = replace(gate, rules=(_of_the_sample(gate, gate.pass_rate), *gate.rules))
    if not gate.rules:
        return ()
    from lockgate.app.evals_gates import rule_on

    part = sampled or summary.untouched > 0
    run = gather(read_results(results))
    return rule_on(gate, run, plan.baseline, sampled=part, weights=weights)


def _of_the_sample(gate: Gate, rate: float) -> Rule:
    return Rule(
        kind=Kind.QUALITY,
        metric=PASS_RATE,
        statistic="rate",
        limit=rate,
        min_cases=gate.min_cases,
    )


def _require_release(wanted: Digest | None, releases: Mapping[str, Digest]) -> None:
    """Refuse before the work what another release would answer."""
    others = sorted({str(digest) for digest in releases.values() if digest != wanted})
    if wanted is not None and (others or not releases):
        raise UsageError(
            f"to be evaluated is {wanted}, here would answer: {', '.join(others) or 'no release'}",
            hint="install what that release pins, or evaluate what is here without naming it",
        )


def _releases(
    loaded: Loaded, environment: Environment, tasks: Mapping[str, Task]
) -> Mapping[str, Digest]:
    """Return the release behind each provider: a result of another one is asked for again."""
    from lockgate.app.models import model_store
    from lockgate.app.releases import release_of

    models = model_store(loaded, environment)
    return {
        name: release_of(loaded, models, task.spec).digest for name, task in sorted(tasks.items())
    }


def _models(loaded: Loaded, environment: Environment, suite: Suite) -> Mapping[str, Digest]:
    from lockgate.app.models import model_store

    return models_of(suite, partial(model_store, loaded, environment))


def _digests(
    found: Found, releases: Mapping[str, Digest], models: Mapping[str, Digest]
) -> Mapping[str, str]:
    from lockgate.app.evaluating import harness_digest

    return {
        "suite": str(found.digest),
        "harness": str(harness_digest()),
        **{f"{RELEASE}{name}": str(digest) for name, digest in releases.items()},
        **{name: str(digest) for name, digest in models.items()},
    }


def _kept(environment: Environment, found: Found, changed_since: str | None) -> Path:
    """Return where results are without `--results`: one place a suite."""
    name = hashlib.sha256(f"{found.files.folder}\0{found.shown}".encode()).hexdigest()[:16]
    part = "" if changed_since is None else ".changed"  # the whole run's results stay
    return environment.state_dir / "evals" / f"{name}{part}.jsonl"
