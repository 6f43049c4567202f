"""What a gateway counts, and the spans of its requests. Series are looked up once and kept."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lockgate import __version__
from lockgate.app.calls import uuid7
from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_task_meter import TaskMeter, model_variant
from lockgate.config.gateway_settings import TracingSettings
from lockgate.telemetry.entropy import Entropy
from lockgate.telemetry.metrics import CONTENT_TYPE, Counter, Histogram, Metrics
from lockgate.telemetry.process import watch_process
from lockgate.telemetry.sampling import Sampler, SamplingRule
from lockgate.telemetry.span_queue import SpanQueue
from lockgate.telemetry.spans import Span, Tracer
from lockgate.telemetry.table import ROUTE, UPSTREAM
from lockgate.traffic.breaker import BreakerState
from lockgate.traffic.lane import Klass
from lockgate.traffic.queue import Queue

_RANDOM_BITS = 80
_NANOS = 1e9
_GIVEN_UP = 499


@dataclass(slots=True)
class _RouteSeries:
    seconds: Histogram
    overhead: Histogram
    codes: dict[int, Counter]


@dataclass(slots=True)
class _ModelSeries:
    given: Counter
    written: Counter
    cost: Counter
    outcomes: dict[str, Counter]


class GatewayMeter:
    """Used from the loop's thread."""

    def __init__(
        self,
        controls: Controls,
        *,
        routes: Sequence[str] = (),
        previous: "GatewayMeter | None" = None,
    ) -> None:
        """`previous` is of the gateway before: what it counts goes on, and on being counted."""
        known = None if previous is None else previous.metrics
        self.metrics: Metrics = Metrics(previous=known)
        self._metrics = self.metrics
        self._metrics.expect(ROUTE, [(route,) for route in routes])
        backends = dict.fromkeys((*controls.breakers, *controls.queues))
        self._metrics.expect(UPSTREAM, [(name,) for name in backends])
        self._controls = controls
        self.tasks = TaskMeter(self._metrics)
        self._entropy = Entropy()
        self._routes: dict[str, _RouteSeries] = {}
        self._models: dict[tuple[str, str], _ModelSeries] = {}
        self._caches: dict[tuple[str, str], Counter] = {}
        self._teams: dict[str, Counter] = {}
        self._calls: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        watch_process(self._metrics)
        self._guards = self._metrics.histogram("lockgate_guard_seconds").labels()
        self._findings: dict[tuple[str, str], Counter] = {}
        self._metrics.on_scrape(self._read)

    def new_id(self) -> str:
        """Return an id for a request, as `calls.new_id` does, without a system call."""
        return uuid7(self._entropy(_RANDOM_BITS))

    def answered(self, route: str, status: int, seconds: float, overhead: float) -> None:
        """Count a request; status 0: it was given up."""
        series = self._routes.get(route)
        if series is None:
            series = self._routes[route] = _RouteSeries(
                self._metrics.histogram("lockgate_request_seconds").labels(route),
                self._metrics.histogram("lockgate_overhead_seconds").labels(route),
                {},
            )
        code = status or _GIVEN_UP
        counter = series.codes.get(code)
        if counter is None:
            family = self._metrics.counter("lockgate_requests_total")
            counter = series.codes[code] = family.labels(route, str(code))
        counter.inc()
        series.seconds.observe(seconds)
        series.overhead.observe(overhead)

    def inferred(
        self, model: str, release: str, outcome: str, tokens: tuple[int, int], nanos: int
    ) -> None:
        """Count one call of a model: `ok`, `degraded`, `refused`, `failed` or `cancelled`.

        No outcome: an answer that nobody got. Only what it took is counted, another model's answer
        is the outcome.
        """
        series = self._models.get((model, release))
        if series is None:
            series = self._models[model, release] = self._open_model(model, release)
        series.given.inc(tokens[0])
        series.written.inc(tokens[1])
        if nanos:
            series.cost.inc(nanos / _NANOS)
        if not outcome:
            return
        counter = series.outcomes.get(outcome)
        if counter is None:
            family = self._metrics.counter("lockgate_responses_total")
            variant = model_variant(model, release)
            counter = series.outcomes[outcome] = family.labels(outcome, *variant)
        counter.inc()

    def failed(self, model: str, release: str, kind: str) -> None:
        """Count an inference that gave nothing, by the kind of its failure."""
        family = self._metrics.counter("lockgate_failures_total")
        family.labels(kind, *model_variant(model, release)).inc()

    def spent(self, team: str, nanos: int) -> None:
        """Count what a team's call cost."""
        counter = self._teams.get(team)
        if counter is None:
            family = self._metrics.counter("lockgate_team_cost_total")
            counter = self._teams[team] = family.labels(team)
        counter.inc(nanos / _NANOS)

    def asked(self, upstream: str, result: str, seconds: float) -> None:
        """Count one call of an upstream: `ok`, `failed` or `cancelled`."""
        found = self._calls.get((upstream, result))
        if found is None:
            counter = self._metrics.counter("lockgate_upstream_calls_total")
            seconds_of = self._metrics.histogram("lockgate_upstream_seconds")
            found = (counter.labels(upstream, result), seconds_of.labels(upstream))
            self._calls[upstream, result] = found
        found[0].inc()
        found[1].observe(seconds)

    def first_chunk(self, route: str, seconds: float) -> None:
        """Note how long the first part of a stream took."""
        self._metrics.histogram("lockgate_first_chunk_seconds").labels(route).observe(seconds)

    def limited(self, route: str, limit: str) -> None:
        """Count a request that a limit refused: `requests`, `tokens` or `budget`."""
        self._metrics.counter("lockgate_limited_total").labels(route, limit).inc()

    def shed(self, backend: str, klass: Klass) -> None:
        """Count a request that could not be in time, or found no room to wait."""
        self._metrics.counter("lockgate_shed_total").labels(backend, klass).inc()

    def queued(self, backend: str, klass: Klass, seconds: float) -> None:
        """Note how long a request waited that had to."""
        self._metrics.histogram("lockgate_queue_seconds").labels(backend, klass).observe(seconds)

    def retried(self, upstream: str, *, allowed: bool) -> None:
        """Count a retry, or one that the budget did not allow."""
        name = "lockgate_retries_total" if allowed else "lockgate_retries_denied_total"
        self._metrics.counter(name).labels(upstream).inc()

    def fell_back(self, model: str) -> None:
        """Count an answer that another model gave."""
        self._metrics.counter("lockgate_fallbacks_total").labels(model, "backend").inc()

    def looked_up(self, state: str, cache: str = "exact", count: int = 1) -> None:
        """Count looks into a cache, `exact` or `embedding`: `hit`, `miss` or `bypass`."""
        counter = self._caches.get((cache, state))
        if counter is None:
            family = self._metrics.counter("lockgate_cache_lookups_total")
            counter = self._caches[cache, state] = family.labels(cache, state)
        counter.inc(count)

    def found(self, rule: str, action: str) -> None:
        """Count a finding: `redacted`, `blocked`, `quarantined`, `flagged` or `shadow`."""
        counter = self._findings.get((rule, action))
        if counter is None:
            family = self._metrics.counter("lockgate_guard_findings_total")
            counter = self._findings[rule, action] = family.labels(rule, action)
        counter.inc()

    def guarded(self, seconds: float) -> None:
        """Note the time of all guards of a request."""
        self._guards.observe(seconds)

    def dropped(self, count: int) -> None:
        """Count spans that found no place."""
        self._metrics.counter("lockgate_spans_dropped_total").labels().inc(count)

    def watch(self, reading: Callable[[Metrics], None]) -> None:
        """Let `reading` set gauges before each scrape."""
        self._metrics.on_scrape(lambda: reading(self._metrics))

    def expose(self) -> tuple[bytes, str]:
        """Return the metrics page and its content type."""
        return self._metrics.exposition(), CONTENT_TYPE

    def _read(self) -> None:
        opened = self._metrics.gauge("lockgate_breaker_open")
        for name, breaker in self._controls.breakers.items():
            opened.labels(name).set(breaker.state is not BreakerState.CLOSED)
        for name, queue in self._controls.queues.items():
            self._read_queue(name, queue)
        sharing = self._controls.sharing
        up = (sharing is None or sharing.is_up) and self._controls.switch.is_up
        self._metrics.gauge("lockgate_shared_state_up").labels().set(up)
        kills = self._controls.switch.now.kills
        self._metrics.gauge("lockgate_kills").labels().set(len(kills))
        if self._controls.cache is not None:
            held = self._metrics.gauge("lockgate_cache_bytes").labels("exact")
            held.set(self._controls.cache.bytes)

    def _read_queue(self, name: str, queue: Queue) -> None:
        metrics = self._metrics
        metrics.gauge("lockgate_in_flight").labels(name).set(queue.in_flight)
        metrics.gauge("lockgate_concurrency_limit").labels(name).set(queue.limit)
        for klass in Klass:
            requests, tokens = queue.waiting_of(klass)
            metrics.gauge("lockgate_queue_requests").labels(name, klass).set(requests)
            metrics.gauge("lockgate_queue_tokens").labels(name, klass).set(tokens)

    def _open_model(self, model: str, release: str) -> _ModelSeries:
        variant = model_variant(model, release)
        tokens = self._metrics.counter("lockgate_tokens_total")
        return _ModelSeries(
            tokens.labels("input", *variant),
            tokens.labels("output", *variant),
            self._metrics.counter("lockgate_cost_total").labels(*variant),
            {},
        )


def tracer_of(
    settings: TracingSettings, headers: Mapping[str, str], *, dropped: Callable[[int], None]
) -> tuple[Tracer, Callable[[], None]]:
    """Return what records spans, and what closes it. `headers` are sent to the collector.

    Where nothing takes spans it records none, and carries what callers trace on to upstreams.
    """
    if settings.otlp_url is None:
        nothing = Sampler([], clock=time.monotonic)
        tracer = Tracer(nothing, _forget, clock_ns=time.time_ns, random_bits=Entropy())
        return tracer, lambda: None
    from lockgate.telemetry.otlp import OtlpExporter

    resource = {"service.name": "lockgate", "service.version": __version__}
    exporter = OtlpExporter(settings.otlp_url, resource=resource, headers=headers)
    queue = SpanQueue(exporter, on_drop=dropped)
    rules = [
        *(SamplingRule(route=r.route, task=r.task, ratio=r.ratio) for r in settings.rules),
        SamplingRule(ratio=settings.ratio),
    ]
    sampler = Sampler(rules, clock=time.monotonic, most_per_s=settings.most_per_s)
    tracer = Tracer(
        sampler,
        queue.put,
        clock_ns=time.time_ns,
        random_bits=Entropy(),
        content=settings.content,
    )
    return tracer, queue.close


def _forget(span: Span) -> None:
    """Take a span that nobody wants."""
