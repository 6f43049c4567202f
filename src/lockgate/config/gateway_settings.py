"""The tables of the gateway: `server`, `identity`, `books`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from lockgate.config.constraint import Matches, NotEmpty, Passes, Range
from lockgate.config.table import Table as _Table
from lockgate.config.values import EnvironmentVariable, Name, Sha256, no_credentials
from lockgate.domain.identity import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey(_Table):
    """A key that opens the gateway. Only its digest is kept here."""

    sha256: Sha256
    """Of the key: `printf %s "$KEY" | sha256sum`. Make keys with `openssl rand -hex 32`."""
    team: Name = "default"
    roles: tuple[Literal["caller", "auditor", "operator", "admin"], ...] = ("caller",)
    scopes: tuple[Annotated[str, Matches("(task|model|route):([A-Za-z0-9._/-]+|[*])")], ...] = ()
    """`task:NAME`, `model:NAME`, or `task:*` and `model:*` for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit(_Table):
    """How much one caller, team or route may ask for."""

    requests_per_minute: Annotated[int, Range(ge=1, le=10_000_000)] | None = None
    tokens_per_minute: Annotated[int, Range(ge=1, le=10_000_000_000)] | None = None
    """Of the prompt and the answer: estimated before a call, corrected after it."""
    burst: Annotated[float, Range(ge=0.01, le=60)] = 1.0
    """How many minutes' worth may come at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrgencySettings(_Table):
    """How requests stand to others that wait, unless they say that they are less urgent."""

    priority: Annotated[int, Range(ge=0, le=9)] = 0
    """The higher goes first. `x-lockgate-priority` may lower it."""
    batch: bool = False
    """Nobody waits for them. `x-lockgate-class: batch` says so of a single request."""
    deadline_s: Annotated[float, Range(ge=0.01, le=86_400)] = 600.0
    """What cannot be done in so many seconds is refused. `x-lockgate-deadline-ms` may shorten
    it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings(_Table):
    """Kept answers to equal requests of one team. Only whole answers that passed every check."""

    ttl_s: Annotated[float, Range(ge=0, le=86_400)] = 0.0
    """Seconds that an answer is kept; 0: none is."""
    megabytes: Annotated[int, Range(ge=1, le=4096)] = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSettings(_Table):
    """The share of the requests that is recorded of one route, one task, or both."""

    route: Annotated[str, Matches("[a-z][a-z0-9:._-]*|")] = ""
    """As in `GET /admin/routes`, such as `chat`; empty: every route."""
    task: Annotated[str, Matches("[A-Za-z0-9][A-Za-z0-9._-]*|")] = ""
    """Empty: every task, and what is none."""
    ratio: Annotated[float, Range(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingSettings(_Table):
    """OpenTelemetry spans of requests."""

    otlp_url: Annotated[str, Matches(r"https?://[^\s]+"), Passes(no_credentials)] | None = None
    """Where they go, such as `http://127.0.0.1:4318/v1/traces`; needs the extra `otlp`."""
    headers_env: EnvironmentVariable | None = None
    """The variable with the headers to send, written as for `OTEL_EXPORTER_OTLP_HEADERS`."""
    ratio: Annotated[float, Range(ge=0, le=1)] = 0.1
    """Share of the requests that is recorded, unless their caller has decided or a rule fits."""
    rules: tuple[SamplingSettings, ...] = ()
    """The first that fits a request counts."""
    most_per_s: Annotated[float, Range(ge=0.1, le=10_000)] = 100.0
    """Requests that are recorded in a second, whatever callers decide."""
    content: bool = False
    """Record prompts and whole answers, too, as the guards let them through; not streams."""


Subject: TypeAlias = Annotated[str, Matches("(key|team|route):([A-Za-z0-9._/:@-]+|[*])")]


Asker: TypeAlias = Annotated[str, Matches("(key|team):([A-Za-z0-9._/:@-]+|[*])")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings(_Table):
    """The gateway, `lockgate serve`."""

    listen: Annotated[str, Matches("unix:/.+|[^/ ]+:[0-9]{1,5}")] = "127.0.0.1:8400"
    """`HOST:PORT` or `unix:/PATH`. Elsewhere than on loopback, keys are needed."""
    admin_from: Literal["here", "anywhere"] = "here"
    """Who may use `/admin`: `here` is this machine, over loopback or the socket and not through a
    proxy; elsewhere even an admin's key opens nothing there."""
    keys: Mapping[Name, ServerKey] = field(default_factory=dict)
    """By name. Without one, everyone who reaches the loopback address or the socket is the person
    at this machine."""
    log_format: Literal["text", "json"] = "text"
    """Of the lines on stderr, from the next start on."""
    drain_s: Annotated[float, Range(ge=0, le=3600)] = 30.0
    """Seconds that open requests have to end after SIGTERM."""
    max_body_bytes: Annotated[int, Range(ge=1024, le=1 << 30)] = 8 << 20
    """Of a request to a model."""
    max_task_bytes: Annotated[int, Range(ge=1024, le=1 << 30)] = 32 << 20
    """Of the input of a task."""
    max_held_bytes: Annotated[int, Range(ge=1 << 20, le=1 << 40)] = 256 << 20
    """Of all large bodies together, from when they are read until their requests have ended: one
    team gets half of it, and a body that finds no room 503 with `Retry-After`. The first 64 KiB of
    each are not counted. At least twice the largest body."""
    record_calls: bool = True
    """Write an audit event for each call of a model: who, which, where to, and what it took.
    Calls of tasks are recorded in any case."""
    max_output_tokens: Annotated[int, Range(ge=1, le=1 << 24)] = 4096
    """What a request that names no limit of its own may write, where its cost is reserved."""
    limits: Mapping[Subject, RateLimit] = field(default_factory=dict)
    """By subject: `key:NAME`, `team:NAME` or `route:NAME`; `key:*` is for each key without a row
    of its own."""
    urgency: Mapping[Asker, UrgencySettings] = field(default_factory=dict)
    """By key or team. The first that there is of `key:NAME`, `team:NAME`, `key:*` and `team:*`
    counts."""
    fallbacks: Mapping[Name, tuple[Name, ...]] = field(default_factory=dict)
    """By model: which ones take its place, in turn, where it cannot answer. Never where the data
    may not go."""
    cache: CacheSettings = field(default_factory=CacheSettings)
    tracing: TracingSettings = field(default_factory=TracingSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRule(_Table):
    """What the bearer of a token may do, if all claims match."""

    claims: Annotated[Mapping[str, str], NotEmpty()]
    """Patterns by claim: `*` is any run without `/`, `**` any run. A list needs one that fits."""
    team: Name
    roles: tuple[Role, ...] = (Role.CALLER,)
    scopes: tuple[Annotated[str, Matches("(task|model|route):.+")], ...] = ()
    """`task:NAME`, `model:NAME`, `route:NAME`, or `KIND:*`. None reaches nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer(_Table):
    """An identity provider whose signed tokens count, such as a CI service."""

    name: Name
    issuer: Annotated[str, NotEmpty()]
    """The `iss` claim, character for character."""
    audience: Annotated[str, NotEmpty()]
    """What `aud` must be or hold."""
    jwks_url: Annotated[str, Matches(r"https://[^\s]+|http://(127\.0\.0\.1|localhost)[:/][^\s]*")]
    """Where its public keys are."""
    algorithms: tuple[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"],
        ...,
    ] = ("RS256",)
    rules: Annotated[tuple[TokenRule, ...], NotEmpty()]
    """The first that matches counts; a token that none matches is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings(_Table):
    """Who may call the gateway, beside the keys of `lockgate token`."""

    issuers: tuple[TokenIssuer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksSettings(_Table):
    """What calls of the gateway cost."""

    prices: Path | None = None
    """The price file, relative to the configuration file. Without one nothing has a price: events
    say so with the flag `assumed-price`, and no budget can be set."""
    usage_retention_days: Annotated[int, Range(ge=1, le=36_500)] | None = None
    """Days that usage events are kept one by one. Then the sums of each day take their place. By
    default they are kept for good."""
