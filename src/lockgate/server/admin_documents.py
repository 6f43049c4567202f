"""What the admin API takes and gives, member by member: the schemas are made of these."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

_PLAIN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_NAME = "[A-Za-z0-9][A-Za-z0-9._/:@-]{0,255}"
_SCOPE = r"^(task|model|route):(\*|[A-Za-z0-9][A-Za-z0-9._/-]{0,127})$"
# Reasons are shown on terminals: no control characters.
_LINE = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]+$"
_RELEASE = "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}$"
_ENVIRONMENT = "^[a-z0-9][a-z0-9._-]{0,62}$"
_NANOS = "^[0-9]{1,18}$"
MAX_SECONDS = 1 << 33

Plain: TypeAlias = Annotated[str, Meta(pattern=_PLAIN, max_length=64)]
Account: TypeAlias = Annotated[str, Meta(pattern=f"^(team|key|task):{_NAME}$", max_length=300)]
What: TypeAlias = Annotated[str, Meta(pattern=f"^(all|(task|model):{_NAME})$", max_length=300)]
Reason: TypeAlias = Annotated[str, Meta(pattern=_LINE, max_length=500)]
Scope: TypeAlias = Annotated[str, Meta(pattern=_SCOPE, max_length=200)]
ReleaseName: TypeAlias = Annotated[str, Meta(pattern=_RELEASE, max_length=200)]
EnvironmentName: TypeAlias = Annotated[str, Meta(pattern=_ENVIRONMENT, max_length=63)]
RoleName: TypeAlias = Literal["caller", "auditor", "operator", "admin"]
PeriodName: TypeAlias = Literal["day", "month", "total"]
Dimension: TypeAlias = Literal["team", "key", "task", "route", "model", "release", "day"]
Leaves: TypeAlias = Literal["rules", "nothing"]
Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SECONDS)]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=1000)]


class _Asked(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a caller sends: what is not named here is refused."""


class NewKey(_Asked, kw_only=True):
    """A key that is to be made."""

    id: Plain
    team: Plain
    roles: Annotated[tuple[RoleName, ...], Meta(max_length=4)] = ("caller",)
    scopes: Annotated[tuple[Scope, ...], Meta(max_length=256)] = ()
    expires_days: Annotated[int, Meta(ge=0, le=3650)] = 90
    """0: never."""


class Rotation(_Asked, kw_only=True):
    """How a key gets a new secret."""

    overlap_hours: Annotated[int, Meta(ge=0, le=2160)] = 24
    """How long the old secret goes on to work."""


class NewBudget(_Asked, kw_only=True):
    """The most that an account may spend in each period."""

    account: Account
    period: PeriodName = "month"
    limit_nanos: Annotated[str, Meta(pattern=_NANOS)]
    """Billionths of the currency, as text: JSON readers lose digits of large numbers."""


class NewKill(_Asked, kw_only=True):
    """What is to be turned off."""

    what: What
    leaves: Leaves = "rules"
    reason: Reason


class NewPromotion(_Asked, kw_only=True):
    """A release that is to take over its task in an environment."""

    release: ReleaseName
    """`sha256:…`, the beginning of it, `TASK:ALIAS` or `TASK@ENVIRONMENT`."""
    environment: EnvironmentName
    reason: Reason | UnsetType = UNSET
    explain: bool = False
    """Answer with the whole decision, and change nothing."""


class NewRollback(_Asked, kw_only=True):
    """A task whose earlier release is to run again."""

    task: Plain
    environment: EnvironmentName
    release: ReleaseName | UnsetType = UNSET
    """The last that ran before and was not rolled back itself, if it is not given."""
    reason: Reason
    explain: bool = False
    """Answer with the whole decision, and change nothing."""


class KeyQuery(_Asked, kw_only=True):
    """Which keys."""

    limit: Limit = 1000
    after: Plain | UnsetType = UNSET
    """The id that the page before ended with."""


class BudgetQuery(_Asked, kw_only=True):
    """Which budget."""

    account: Account
    period: PeriodName = "month"


class UsageQuery(_Asked, kw_only=True):
    """Which part of the ledger, summed by what."""

    by: Dimension = "team"
    then: Dimension | UnsetType = UNSET
    """What to sum by within each of them."""
    start_time: Seconds | UnsetType = UNSET
    """Unix seconds, included; thirty days before the end if it is not given."""
    end_time: Seconds | UnsetType = UNSET
    """Unix seconds, not included; now if it is not given."""
    limit: Limit = 50


class KillQuery(_Asked, kw_only=True):
    """What is to be turned on again."""

    what: What
    reason: Reason


class PromotionQuery(_Asked, kw_only=True):
    """Which promotions."""

    environment: Plain | UnsetType = UNSET
    task: Plain | UnsetType = UNSET
    limit: Limit = 50


class AuditQuery(_Asked, kw_only=True):
    """Which events."""

    subject: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET
    """The task of a call, `model:NAME`, or what an administrative action was done to."""
    id: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET
    """Of one event; of a call what its client got as `x-request-id`. Nothing else counts then."""
    before: Annotated[int, Meta(ge=1, le=1 << 53)] | UnsetType = UNSET
    """Only events with a smaller `seq`: that of the last one on the page before."""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class NoQuery(_Asked):
    """No parameters at all."""


class Key(Struct, kw_only=True):
    """A key, without its secrets."""

    object: Literal["key"] = "key"
    id: str
    team: str
    roles: list[str]
    scopes: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


class Keys(Struct, kw_only=True):
    """Keys, by id."""

    object: Literal["list"] = "list"
    data: list[Key]
    has_more: bool


class Secret(Struct, kw_only=True):
    """A secret that is shown once."""

    object: Literal["key.secret"] = "key.secret"
    id: str
    secret: str
    old_until: datetime | None = None
    """When the secrets before it end."""


class Revoked(Struct, kw_only=True):
    """A key that has ended."""

    object: Literal["key.revoked"] = "key.revoked"
    id: str


class Standing(Struct, kw_only=True):
    """A budget in its present period."""

    object: Literal["budget"] = "budget"
    account: str
    period: str
    """`day:2026-11-21`, `month:2026-11` or `total`."""
    limit_nanos: str
    spent_nanos: str
    held_nanos: str
    """Lent to replicas and not spent yet."""
    expired_nanos: str
    """The part of it whose replica has not been heard of."""


class Standings(Struct, kw_only=True):
    """All budgets."""

    object: Literal["list"] = "list"
    data: list[Standing]


class Budget(Struct, kw_only=True):
    """A limit that was set, or is gone."""

    object: Literal["budget.set", "budget.dropped"]
    account: str
    period: str


class UsageSum(Struct, kw_only=True):
    """What calls did cost together."""

    object: Literal["usage"] = "usage"
    name: str
    """Of the team, the key, the task, the route, the model, the release or the day; empty if a call
    had none."""
    then: str | UnsetType = UNSET
    """As `name`, for `then` of the query."""
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    duration_us: int
    cost_nanos: str


class UsageSums(Struct, kw_only=True):
    """Sums, the dearest first."""

    object: Literal["list"] = "list"
    by: str
    then: str | UnsetType = UNSET
    start_time: int
    end_time: int
    data: list[UsageSum]


class Kill(Struct, kw_only=True):
    """Something that is off."""

    object: Literal["kill"] = "kill"
    what: str
    leaves: str
    reason: str
    actor: str
    at: str
    known: bool
    """Whether the replica that was asked has a task or a model of that name."""


class Kills(Struct, kw_only=True):
    """Everything that is off."""

    object: Literal["list"] = "list"
    data: list[Kill]


class TurnedOn(Struct, kw_only=True):
    """Something that is on again."""

    object: Literal["kill.lifted"] = "kill.lifted"
    what: str


class RouteRow(Struct, kw_only=True):
    """A row of the route table."""

    object: Literal["route"] = "route"
    name: str
    method: str
    path: str
    role: str | None
    scope: str | None
    summary: str


class RouteRows(Struct, kw_only=True):
    """The route table."""

    object: Literal["list"] = "list"
    data: list[RouteRow]


class Promotion(Struct, kw_only=True):
    """A release that took over a task in an environment."""

    object: Literal["promotion"] = "promotion"
    environment: str
    task: str
    release: str
    previous: str | None
    action: str
    at: datetime
    actor: str
    reason: str
    decision: str


class Promotions(Struct, kw_only=True):
    """Promotions, newest first."""

    object: Literal["list"] = "list"
    data: list[Promotion]


class Finding(Struct, kw_only=True):
    """What one check of the gate found."""

    rule: int
    name: str
    outcome: Literal["allow", "defer", "deny"]
    message: str
    hint: str
    """The next step; empty where nothing is to be done."""


class Decision(Struct, kw_only=True):
    """What the gate said of a release, and whether it has taken over."""

    object: Literal["release.decision"] = "release.decision"
    task: str
    environment: str
    release: str
    previous: str | None
    """What ran there before."""
    verdict: Literal["allow", "defer", "deny"]
    done: bool
    decision: str
    """Digest of the decision's document."""
    findings: list[Finding]
    notes: list[str]
    """Attestations that did not count, and why."""


class AuditEvents(Struct, kw_only=True):
    """Events of the audit log, newest first, without what was said in calls."""

    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    cut: bool
    """Whether events that were asked for are left out, since the answer would be too large."""


class Checkpoint(Struct, kw_only=True):
    """The newest signed checkpoint of the audit log."""

    object: Literal["audit.checkpoint"] = "audit.checkpoint"
    seq: int
    """How many events it is of."""
    digest: str
    """Of the last of them."""
    at: datetime
    key: str
    """Fingerprint of the key that is said to have signed it."""
    bundle: str
    """The file, for `lockgate audit verify --checkpoint`."""
