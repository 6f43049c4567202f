"""The schema of `policy.toml`: a class a table. `lockgate.config.policy_file` makes the policy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Annotated, TypeAlias

from lockgate.config.constraint import Matches, NotEmpty, Passes, Range
from lockgate.config.table import Table
from lockgate.config.values import Name
from lockgate.domain.artifact import Kind
from lockgate.domain.decimals import decimal_of
from lockgate.domain.digest import Digest
from lockgate.domain.instants import instant_of
from lockgate.domain.policy_document import BreakGlass, Claim, Comparator, Require
from lockgate.errors import UsageError


def _readable(read: Callable[[str], object]) -> Callable[[str], None]:
    def judge(text: str) -> None:
        try:
            read(text)
        except UsageError as error:
            raise ValueError(error.message) from error

    return judge


def _pattern(text: str) -> None:
    if "*" in text[:-1]:
        raise ValueError("`*` may only stand at the end")


def _dataset(text: str) -> None:
    if text.startswith("sha256:"):
        _readable(Digest.parse)(text)


Decimal: TypeAlias = Annotated[str, Passes(_readable(decimal_of))]
Instant: TypeAlias = Annotated[str, Passes(_readable(instant_of))]
DigestText: TypeAlias = Annotated[str, Passes(_readable(Digest.parse))]
TimeOfDay: TypeAlias = Annotated[str, Matches("([01][0-9]|2[0-3]):[0-5][0-9]")]
Pattern: TypeAlias = Annotated[str, NotEmpty(), Passes(_pattern)]
Holder: TypeAlias = Annotated[str, NotEmpty()]
Days: TypeAlias = Annotated[int, Range(ge=0, le=36_500)]
Weekday: TypeAlias = Annotated[str, Matches("mon|tue|wed|thu|fri|sat|sun")]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationTable(Table):
    """An evaluation that must have been run, and what it must have shown."""

    suite: Annotated[str, NotEmpty()]
    """Name of the suite, as the evaluation states it."""
    metric: Annotated[str, NotEmpty()]
    threshold: Decimal
    """A decimal number as text: `"0.90"`."""
    comparator: Comparator = Comparator.AT_LEAST
    """How the observed value is held against the threshold."""
    dataset: Annotated[str, Passes(_dataset)] = ""
    """Name of the pinned dataset, or the digest of a suite's dataset, which `lockgate eval --sign`
    prints. Default: the only one that the release pins."""
    min_samples: Annotated[int, Range(ge=1)] = 1
    max_age_days: Annotated[int, Range(ge=1, le=36_500)] | None = None
    """Default: a result does not age."""
    max_regression: Decimal | None = None
    """How much worse than the release that runs there now, as text. Default: not compared."""
    baseline_required: bool = True
    """Refuse if the release that runs there now has no such result to compare with."""
    interval_required: bool = False
    """Refuse a result without a confidence interval. Where there is one, its bad end must hold."""
    preregistered: bool = False
    """Refuse a result unless a policy owner signed metric and threshold before it was measured:
    `lockgate policy register`."""
    harnesses: tuple[Pattern, ...] = ("*",)
    """Digests of the programs that may have measured it."""
    environments: tuple[Name, ...] = ()
    """Where it is required. Default: wherever the table stands. Only in `tasks.NAME`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeTable(Table):
    """A time in which nothing is promoted: once (`starts`, `ends`) or every week (`weekdays`)."""

    reason: Annotated[str, NotEmpty()]
    starts: Instant | None = None
    """`"2026-12-20T00:00:00Z"`."""
    ends: Instant | None = None
    """The first moment after it."""
    weekdays: tuple[Weekday, ...] = ()
    """`mon` to `sun`, in UTC."""
    from_time: TimeOfDay = "00:00"
    """UTC."""
    until_time: TimeOfDay | None = None
    """UTC. Default: to the end of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesTable(Table):
    """What is demanded. What is not set stays as the wider table says.

    A pattern in a list may end in `*`.
    """

    require: Require | None = None
    """`none`: anything runs. `signed`: a builder signed the release and its pins. `promoted`: the
    gate let it through for this environment under this policy. Default: `none`."""
    attestations: Mapping[Kind, tuple[Claim, ...]] = field(default_factory=dict)
    """By kind of artifact, what must be attested. Default: provenance, unless `require` is
    `none`."""
    evaluations: tuple[EvaluationTable, ...] = ()
    """These add to those of the wider tables."""
    approvals: Annotated[int, Range(ge=0, le=100)] | None = None
    """How many different people must approve. Who built or evaluated it does not count."""
    approval_max_age_days: Annotated[int, Range(ge=1, le=36_500)] | None = None
    """Default: an approval does not age."""
    owners: tuple[Name, ...] | None = None
    """Teams whose members may approve. Default: every approver."""
    after: Name | None = None
    """The environment that a release must have reached before."""
    soak_hours: Annotated[int, Range(ge=0, le=100_000)] | None = None
    """How long it must have been there."""
    freezes: tuple[FreezeTable, ...] = ()
    """These add to those of the wider tables."""
    break_glass: tuple[BreakGlass, ...] | None = None
    """What a signed break-glass approval may set aside. Default: `rollback` only."""
    verdict_max_age_days: Annotated[int, Range(ge=1, le=36_500)] | None = None
    """How long a verdict lets a release run, or be rolled back to. Default: for ever."""
    models: tuple[Pattern, ...] | None = None
    """Names of models that may be pinned. Default: all."""
    external_models: tuple[Pattern, ...] | None = None
    """Names of models that may run on a server, where nothing can be hashed. Default: all where
    `require` is `none`, else none."""
    registries: tuple[Pattern, ...] | None = None
    """`HOST/PATH` that artifacts may come from; `local` is the local store. Default: all."""
    destinations: tuple[Pattern, ...] | None = None
    """Hosts that data may be sent to. Default: all."""
    data_classes: tuple[Pattern, ...] | None = None
    """Classes of data that a task may take there. Default: all."""
    licences: tuple[Annotated[str, NotEmpty()], ...] | None = None
    """SPDX identifiers, or `ID WITH EXCEPTION`; `*` is all, and none at all. Default: `*`."""
    formats: tuple[Pattern, ...] | None = None
    """Formats of the files of models and adapters. Pickle and other code cannot be allowed."""
    logging_fields: tuple[Annotated[str, NotEmpty()], ...] | None = None
    """What an audit event must at least record there."""
    min_retention_days: Days | None = None
    """For how long payloads must be kept there."""
    max_retention_days: Days | None = None
    """For how long payloads may be kept there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTable(Table):
    """What differs for one task."""

    owners: tuple[Name, ...] | None = None
    """Teams whose members may approve releases of it, in every environment."""
    evaluations: tuple[EvaluationTable, ...] = ()
    """Required in the environments that they name; without a name in every one whose `require` is
    not `none`."""
    environments: Mapping[Name, RulesTable] = field(default_factory=dict)
    """What differs in one environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTables(Table):
    """What an organisation demands of a release before it may run somewhere."""

    name: Name
    """For messages."""
    teams: Mapping[Name, Annotated[tuple[Holder, ...], NotEmpty()]] = field(default_factory=dict)
    """Holders of keys, as the trust root names them, by team."""
    defaults: RulesTable = field(default_factory=RulesTable)
    """What holds in every environment that does not say otherwise."""
    environments: Mapping[Name, RulesTable] = field(default_factory=dict)
    """By environment. A release is not promoted to one that is not here."""
    tasks: Mapping[Name, TaskTable] = field(default_factory=dict)
    """By task."""
    accepted_policies: tuple[DigestText, ...] = ()
    """Digests of earlier policies whose verdicts still let a release run. Default: only those
    under this very policy."""


def time_of_day(text: str) -> time:
    """Read `16:30`."""
    return time.fromisoformat(text)
