"""What is counted of calls of tasks: results, time, confidence, and what answered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lockgate.app.gateway_observed import Observation, Observer
from lockgate.domain.artifact import Kind
from lockgate.domain.call import Answer
from lockgate.domain.digest import JsonObject
from lockgate.domain.release import Pin, Release
from lockgate.domain.task import TaskSpec
from lockgate.errors import Denied, LockgateError, NoAnswer, TurnedOff, Unavailable
from lockgate.telemetry.metrics import Metrics

Variant: TypeAlias = tuple[str, str, str, str, str]
"""Values of the dimension `VARIANT`: model, prompt version, data snapshot, release, flags."""

_REFUSALS = (NoAnswer, Denied, TurnedOff)
_CHECK = "check:"
_SHOWN_DIGITS = 12
_DEPTH = 2
_NANOS = 1e9


def model_variant(model: str, release: str) -> Variant:
    """Return what is said of a model that is asked by its name."""
    return (model, "", "", release, "")


def task_variant(release: Release, *, engine: str) -> Variant:
    """Return what is said of a task's answer: all that its release pins, and what answered."""
    pins = sorted(release.pins, key=lambda pin: (pin.role, pin.name))
    models = dict.fromkeys(pin.name for pin in pins if pin.backend)
    return (
        "+".join(models) or "none",
        "+".join(_version(pin) for pin in pins if pin.kind is Kind.PROMPT),
        "+".join(_version(pin) for pin in pins if pin.kind is Kind.INDEX),
        str(release.digest),
        f"engine={engine}",
    )


@dataclass(frozen=True, slots=True)
class TaskMeter:
    """Used from the thread of the metrics."""

    metrics: Metrics

    def answered(self, spec: TaskSpec, answer: Answer, observer: Observer, seconds: float) -> None:
        """Count an answer; `seconds` is how long the whole call took."""
        metrics, task = self.metrics, spec.name
        metrics.histogram("lockgate_task_seconds").labels(task).observe(seconds)
        for value in _results(spec.output_schema, answer.output):
            metrics.counter("lockgate_task_results_total").labels(task, value).inc()
        if observer.release is None:  # nothing was watched
            return
        variant = task_variant(observer.release, engine=answer.engine)
        outcome = "degraded" if answer.degraded else "ok"
        metrics.counter("lockgate_responses_total").labels(outcome, *variant).inc()
        metrics.gauge("lockgate_release_info").labels(*variant).set(1)
        tokens = metrics.counter("lockgate_tokens_total")
        tokens.labels("input", *variant).inc(answer.usage.input_tokens)
        tokens.labels("output", *variant).inc(answer.usage.output_tokens)
        self._spent(variant, observer)
        if answer.confidence is not None:
            metrics.histogram("lockgate_confidence").labels(*variant).observe(answer.confidence)
        if answer.failure:
            metrics.counter("lockgate_fallbacks_total").labels(task, "rules").inc()
        if answer.failure.startswith(_CHECK):
            kind = "schema" if answer.failure == "check:schema" else "check"
            metrics.counter("lockgate_failures_total").labels(kind, *variant).inc()
        self._observed(observer.found)

    def failed(self, error: LockgateError | None, observer: Observer) -> None:
        """Count a call without an answer; None: it was cancelled."""
        self._observed(observer.found)
        if observer.release is None:
            return
        outcome = "failed"
        if error is None:
            outcome = "cancelled"
        elif isinstance(error, _REFUSALS):
            outcome = "refused"
        elif not isinstance(error, Unavailable):
            return  # the caller's mistake says nothing of the release
        variant = task_variant(observer.release, engine="none")
        self.metrics.counter("lockgate_responses_total").labels(outcome, *variant).inc()
        self._spent(variant, observer)

    def paid(self, team: str, observer: Observer) -> None:
        """Count what a call cost its team."""
        if observer.nanos:
            counter = self.metrics.counter("lockgate_team_cost_total").labels(team)
            counter.inc(observer.nanos / _NANOS)

    def _spent(self, variant: Variant, observer: Observer) -> None:
        if observer.nanos:
            counter = self.metrics.counter("lockgate_cost_total").labels(*variant)
            counter.inc(observer.nanos / _NANOS)

    def _observed(self, found: Sequence[Observation]) -> None:
        metrics = self.metrics
        calls = metrics.counter("lockgate_upstream_calls_total")
        seconds = metrics.histogram("lockgate_upstream_seconds")
        for each in found:
            if not each.backend:
                continue
            cancelled = each.failure == "cancelled"
            result = "cancelled" if cancelled else "failed" if each.failure else "ok"
            calls.labels(each.backend, result).inc()
            seconds.labels(each.backend).observe((each.end_ns - each.start_ns) / 1e9)
            if result == "failed":
                variant = model_variant(each.model, str(each.digest))
                metrics.counter("lockgate_failures_total").labels(each.failure, *variant).inc()


def _version(pin: Pin) -> str:
    return f"{pin.name}@{pin.digest.hex[:_SHOWN_DIGITS]}"


def _results(schema: JsonObject, output: JsonObject) -> Iterator[str]:
    """Yield the business results of an output: its first member with a closed set of texts."""
    path = _closed_member(schema, _DEPTH)
    if not path:
        return
    value: Any = output
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        yield value


def _closed_member(schema: Any, depth: int) -> tuple[str, ...]:
    """Return the path to the first member of an `enum` of texts, the nearest to the top."""
    members = schema.get("properties") if isinstance(schema, Mapping) else None
    if not depth or not isinstance(members, Mapping):
        return ()
    for name, member in members.items():
        closed = member.get("enum") if isinstance(member, Mapping) else None
        if isinstance(closed, list | tuple) and closed and all(isinstance(v, str) for v in closed):
            return (name,)
    for name, member in members.items():
        below = _closed_member(member, depth - 1)
        if below:
            return (name, *below)
    return ()
