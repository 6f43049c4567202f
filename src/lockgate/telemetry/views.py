"""What people look at and are woken by: expressions over the table."""

from dataclasses import dataclass
from enum import StrEnum

from lockgate.telemetry.promql import gauge, quantile, rate, ratio


class Unit(StrEnum):
    """Names of Grafana's units."""

    SECONDS = "s"
    SHARE = "percentunit"
    PER_SECOND = "reqps"
    COUNT = "short"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class View:
    """One panel of the dashboard; with `record` also a recording rule."""

    section: str
    title: str
    unit: Unit
    expressions: tuple[tuple[str, str], ...]
    """Pairs of a legend and PromQL."""
    record: str | None = None
    """Name of the recorded series of the first expression, as `level:metric:operations`."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person is to do something about."""

    name: str
    expression: str
    lasting: str
    severity: str
    summary: str


_LATENCY = "lockgate_request_seconds"
_RESPONSES = "lockgate_responses_total"
_SUCCESS = rate(_RESPONSES, "model, release", where='outcome=~"ok|degraded"')
_CALLS = "lockgate_upstream_calls_total"
_ERRORS = rate("lockgate_requests_total", where='code=~"5.."')
_SHED = rate("lockgate_shed_total", where='klass="online"')
_LOOKUPS = "lockgate_cache_lookups_total"

VIEWS: tuple[View, ...] = (
    View(
        "Service",
        "Requests by route",
        Unit.PER_SECOND,
        (("{{route}}", rate("lockgate_requests_total", "route")),),
        "route:lockgate_requests:rate5m",
    ),
    View(
        "Service",
        "Requests by status",
        Unit.PER_SECOND,
        (("{{code}}", rate("lockgate_requests_total", "code")),),
    ),
    View(
        "Service",
        "Latency p50 by route",
        Unit.SECONDS,
        (("{{route}}", quantile(0.5, _LATENCY, "route")),),
        "route:lockgate_request_seconds:p50",
    ),
    View(
        "Service",
        "Latency p95 by route",
        Unit.SECONDS,
        (("{{route}}", quantile(0.95, _LATENCY, "route")),),
        "route:lockgate_request_seconds:p95",
    ),
    View(
        "Service",
        "First chunk p95 by route",
        Unit.SECONDS,
        (("{{route}}", quantile(0.95, "lockgate_first_chunk_seconds", "route")),),
    ),
    View(
        "Service",
        "Overhead p95",
        Unit.SECONDS,
        (("p95", quantile(0.95, "lockgate_overhead_seconds")),),
    ),
    View(
        "Answers",
        "Tokens by model",
        Unit.COUNT,
        (("{{model}} {{direction}}", rate("lockgate_tokens_total", "model, direction")),),
    ),
    View(
        "Answers",
        "Refusal rate by release",
        Unit.SHARE,
        (
            (
                "{{model}} {{release}}",
                ratio(
                    rate(_RESPONSES, "model, release", where='outcome="refused"'),
                    rate(_RESPONSES, "model, release"),
                ),
            ),
        ),
        "release:lockgate_refusals:ratio5m",
    ),
    View(
        "Answers",
        "Cost per successful answer",
        Unit.COUNT,
        (
            (
                "{{model}} {{release}}",
                ratio(rate("lockgate_cost_total", "model, release"), _SUCCESS),
            ),
        ),
        "release:lockgate_cost_per_success:ratio5m",
    ),
    View(
        "Answers",
        "Failures by type and model version",
        Unit.PER_SECOND,
        (
            (
                "{{type}} {{model}} {{release}}",
                rate("lockgate_failures_total", "type, model, release"),
            ),
        ),
    ),
    View(
        "Answers",
        "Confidence, median by release",
        Unit.SHARE,
        (("{{model}} {{release}}", quantile(0.5, "lockgate_confidence", "model, release")),),
    ),
    View(
        "Answers",
        "Variants by prompt, data and flags",
        Unit.PER_SECOND,
        (
            (
                "{{prompt_version}} {{data_snapshot}} {{flags}}",
                rate(_RESPONSES, "prompt_version, data_snapshot, flags"),
            ),
        ),
    ),
    View(
        "Business",
        "Results by task",
        Unit.PER_SECOND,
        (("{{task}} {{result}}", rate("lockgate_task_results_total", "task, result")),),
    ),
    View(
        "Business",
        "Cost by team",
        Unit.COUNT,
        (("{{team}}", rate("lockgate_team_cost_total", "team")),),
    ),
    View(
        "Business",
        "Fallbacks by task",
        Unit.PER_SECOND,
        (("{{task}} {{step}}", rate("lockgate_fallbacks_total", "task, step")),),
    ),
    View(
        "Admission",
        "Limited and shed",
        Unit.PER_SECOND,
        (
            ("limit: {{limit}}", rate("lockgate_limited_total", "limit")),
            ("shed: {{klass}}", rate("lockgate_shed_total", "klass")),
        ),
    ),
    View(
        "Admission",
        "Waiting tokens",
        Unit.COUNT,
        (("{{upstream}} {{klass}}", gauge("lockgate_queue_tokens", "upstream, klass")),),
    ),
    View(
        "Admission",
        "In flight and limit",
        Unit.COUNT,
        (
            ("{{upstream}}", gauge("lockgate_in_flight", "upstream")),
            ("{{upstream}} limit", gauge("lockgate_concurrency_limit", "upstream")),
        ),
    ),
    View(
        "Upstreams",
        "Failed calls",
        Unit.SHARE,
        (
            (
                "{{upstream}}",
                ratio(rate(_CALLS, "upstream", where='result="failed"'), rate(_CALLS, "upstream")),
            ),
        ),
        "upstream:lockgate_failed_calls:ratio5m",
    ),
    View(
        "Upstreams",
        "Call time p95",
        Unit.SECONDS,
        (("{{upstream}}", quantile(0.95, "lockgate_upstream_seconds", "upstream")),),
    ),
    View(
        "Upstreams",
        "Retries / calls",
        Unit.SHARE,
        (("retries", ratio(rate("lockgate_retries_total"), rate(_CALLS))),),
    ),
    View(
        "Guards and cache",
        "Findings by action",
        Unit.PER_SECOND,
        (("{{action}}", rate("lockgate_guard_findings_total", "action")),),
    ),
    View(
        "Guards and cache",
        "Cache hits",
        Unit.SHARE,
        (
            (
                "{{cache}}",
                ratio(rate(_LOOKUPS, "cache", where='state="hit"'), rate(_LOOKUPS, "cache")),
            ),
        ),
        "cache:lockgate_hits:ratio5m",
    ),
    View(
        "Guards and cache",
        "Waiting to be written",
        Unit.COUNT,
        (
            ("audit", gauge("lockgate_audit_waiting")),
            ("quarantine", gauge("lockgate_spool_quarantined")),
        ),
    ),
    View(
        "Guards and cache",
        "Waiting for the database",
        Unit.BYTES,
        (("spool", gauge("lockgate_spool_bytes")),),
    ),
)

ALERTS: tuple[Alert, ...] = (
    Alert(
        "LockgateAbsent",
        f"absent ({gauge('lockgate_open_requests')})",
        "2m",
        "page",
        "No gateway is scraped: none runs, or the key of Prometheus has ended",
    ),
    Alert(
        "LockgateErrors",
        f"{_ERRORS} / {rate('lockgate_requests_total')} > 0.05",
        "5m",
        "page",
        "More than 5 % of the requests fail",
    ),
    Alert(
        "LockgateSlow",
        f"{quantile(0.95, 'lockgate_overhead_seconds')} > 0.1",
        "10m",
        "ticket",
        "The gateway adds more than 0.1 s to every twentieth request",
    ),
    Alert(
        "LockgateBreakerOpen",
        "max by (upstream) (lockgate_breaker_open) > 0",
        "1m",
        "page",
        "The circuit of {{ $labels.upstream }} is open",
    ),
    Alert(
        "LockgateSheds",
        f"{_SHED} > 0",
        "5m",
        "ticket",
        "Online requests are turned away: there is more work than capacity",
    ),
    Alert(
        "LockgateRetryBudgetSpent",
        f"{rate('lockgate_retries_denied_total')} > 0",
        "5m",
        "ticket",
        "More calls fail than may be made again",
    ),
    Alert(
        "LockgateRefusals",
        "release:lockgate_refusals:ratio5m > 0.2",
        "10m",
        "ticket",
        "{{ $labels.model }} refuses more than 20 % of what it is asked",
    ),
    Alert(
        "LockgateLimitsNotShared",
        "min (lockgate_shared_state_up) == 0",
        "1m",
        "ticket",
        "A replica cannot reach the database: limits are split, kills do not arrive",
    ),
    Alert(
        "LockgateSpoolGrows",
        "lockgate_spool_bytes > 1e7",
        "5m",
        "page",
        "Usage and audit events are not written to the database; at 2 GiB calls are refused",
    ),
    Alert(
        "LockgateQuarantine",
        "max (lockgate_spool_quarantined) > 0",
        "1m",
        "ticket",
        "Usage or audit records could not be written: look at them below the spool folder",
    ),
    Alert(
        "LockgateReleaseBehind",
        "max (lockgate_releases_behind) > 0",
        "5m",
        "ticket",
        "A replica cannot run a promoted release, and goes on with the one before",
    ),
    Alert(
        "LockgateCheckpointFails",
        f"{rate('lockgate_checkpoint_failures_total')} > 0",
        "1m",
        "page",
        "The audit log is not signed: the key or the database fails, or the log was rewritten",
    ),
    Alert(
        "LockgateKilled",
        "max (lockgate_kills) > 0",
        "1h",
        "ticket",
        "Something has been turned off for an hour",
    ),
)
