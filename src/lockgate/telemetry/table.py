"""The one table of metrics. Code, rule file, dashboard and docs are made from it."""

from lockgate.telemetry.definition import SECONDS, SHARES, Dimension, Kind, Metric

ROUTE = Dimension(("route",), most=48)
TASK = Dimension(("task",), most=32)
TEAM = Dimension(("team",), most=64)
UPSTREAM = Dimension(("upstream",), most=16)
RULE = Dimension(("rule",), most=128)
RESULT = Dimension(("result",), most=16)
VARIANT = Dimension(("model", "prompt_version", "data_snapshot", "release", "flags"), most=32)
"""What an answer came from. One combination counts once, so a release more is a series more."""

_CODES = (
    *(200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 499),
    *(500, 502, 503, 504),
)
CODE = Dimension(
    ("code",),
    tuple(str(code) for code in _CODES),
)
OUTCOME = Dimension(("outcome",), ("ok", "degraded", "refused", "failed", "cancelled"))
DIRECTION = Dimension(("direction",), ("input", "output"))
KLASS = Dimension(("klass",), ("online", "batch"))
CACHE = Dimension(("cache",), ("exact", "embedding"))
CACHE_STATE = Dimension(("state",), ("hit", "miss", "bypass"))
ACTION = Dimension(("action",), ("redacted", "blocked", "quarantined", "flagged", "shadow"))
LIMIT = Dimension(("limit",), ("requests", "tokens", "budget"))
CALL = Dimension(("result",), ("ok", "failed", "slow", "cancelled"))
STEP = Dimension(("step",), ("release", "backend", "rules"))
FAILURE = Dimension(
    ("type",),
    (
        "connect",
        "timeout",
        "status",
        "truncated",
        "malformed",
        "schema",
        "check",
        "guard",
        "overloaded",
        "circuit-open",
        "internal",
    ),
)

C, G, H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

TABLE: tuple[Metric, ...] = (
    # the server
    Metric("lockgate_requests_total", C, "Requests that were answered.", (ROUTE, CODE)),
    Metric(
        "lockgate_request_seconds", H, "From the first byte in to the last out.", (ROUTE,), SECONDS
    ),
    Metric("lockgate_overhead_seconds", H, "Part of it that was ours.", (ROUTE,), SECONDS),
    Metric(
        "lockgate_first_chunk_seconds", H, "Until the first chunk of a stream.", (ROUTE,), SECONDS
    ),
    Metric("lockgate_open_requests", G, "Requests that are being answered."),
    # answers
    Metric("lockgate_responses_total", C, "Answers by what they came from.", (OUTCOME, VARIANT)),
    Metric("lockgate_failures_total", C, "Failed inferences by why.", (FAILURE, VARIANT)),
    Metric("lockgate_tokens_total", C, "Tokens in and out.", (DIRECTION, VARIANT)),
    Metric("lockgate_cost_total", C, "Cost, in the configured currency.", (VARIANT,)),
    Metric("lockgate_team_cost_total", C, "Cost, in the configured currency.", (TEAM,)),
    Metric("lockgate_confidence", H, "How sure the answers are.", (VARIANT,), SHARES),
    Metric("lockgate_release_info", G, "1 for what may answer now.", (VARIANT,)),
    Metric("lockgate_releases_behind", G, "Promoted releases that cannot run here yet."),
    # business
    Metric(
        "lockgate_task_results_total", C, "What tasks found, such as `high` risk.", (TASK, RESULT)
    ),
    Metric("lockgate_task_seconds", H, "Time of whole tasks.", (TASK,), SECONDS),
    # admission
    Metric("lockgate_limited_total", C, "Requests refused by a limit.", (ROUTE, LIMIT)),
    Metric("lockgate_shed_total", C, "Requests that could not be in time.", (UPSTREAM, KLASS)),
    Metric("lockgate_queue_requests", G, "Requests that wait.", (UPSTREAM, KLASS)),
    Metric("lockgate_queue_tokens", G, "Tokens that wait.", (UPSTREAM, KLASS)),
    Metric(
        "lockgate_queue_seconds", H, "Time of those that had to wait.", (UPSTREAM, KLASS), SECONDS
    ),
    Metric("lockgate_in_flight", G, "Requests at a backend.", (UPSTREAM,)),
    Metric("lockgate_concurrency_limit", G, "Most requests at a backend.", (UPSTREAM,)),
    Metric("lockgate_kills", G, "Tasks and models that are turned off."),
    # resilience
    Metric("lockgate_upstream_calls_total", C, "Calls by how they ended.", (UPSTREAM, CALL)),
    Metric("lockgate_upstream_seconds", H, "Time of calls.", (UPSTREAM,), SECONDS),
    Metric("lockgate_breaker_open", G, "1 while a circuit is not closed.", (UPSTREAM,)),
    Metric("lockgate_retries_total", C, "Calls that were made again.", (UPSTREAM,)),
    Metric("lockgate_retries_denied_total", C, "Retries the budget did not allow.", (UPSTREAM,)),
    Metric("lockgate_fallbacks_total", C, "Answers that came from further down.", (TASK, STEP)),
    # guards and cache
    Metric("lockgate_guard_findings_total", C, "What the guards found.", (RULE, ACTION)),
    Metric("lockgate_guard_seconds", H, "Time of all guards of a request.", (), SECONDS),
    Metric("lockgate_cache_lookups_total", C, "Lookups by what was found.", (CACHE, CACHE_STATE)),
    Metric("lockgate_cache_bytes", G, "Bytes held.", (CACHE,)),
    # what must not be lost
    Metric("lockgate_spool_bytes", G, "Usage and audit events that wait for the database."),
    Metric("lockgate_spool_quarantined", G, "Records that the database could not take."),
    Metric("lockgate_audit_waiting", G, "Audit events that wait to be written."),
    Metric("lockgate_checkpoint_failures_total", C, "Checkpoints of the audit log that failed."),
    Metric(
        "lockgate_checkpoint_timestamp_seconds",
        G,
        "When the newest checkpoint of the audit log was signed, since 1970; 0: not yet.",
    ),
    Metric("lockgate_shared_state_up", G, "0 while limits and kills do not reach this replica."),
    Metric("lockgate_spans_dropped_total", C, "Spans that found no place in the queue."),
    # the process, by the names that every Prometheus client has
    Metric("process_cpu_seconds_total", C, "CPU time of user and system."),
    Metric("process_resident_memory_bytes", G, "Resident memory."),
    Metric("process_open_fds", G, "Open file descriptors."),
    Metric("process_start_time_seconds", G, "When it started, since 1970."),
)
