"""The schema of `policy_test.toml`: what is given, what is asked, what the policy must say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from lockgate.config.constraint import Matches, NotEmpty, Range
from lockgate.config.policy_tables import Days, Decimal, DigestText, Holder, Instant
from lockgate.config.table import Table
from lockgate.config.values import Name
from lockgate.domain.artifact import Kind
from lockgate.domain.gate.decision import Outcome
from lockgate.domain.gate.scenario import Question
from lockgate.domain.predicates.approval import Choice
from lockgate.domain.trust import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTable(Table):
    """A key of the trust root. A name that has no key here signs with an unknown one."""

    holder: Holder
    roles: tuple[Role, ...]
    scopes: tuple[str, ...] = ("*",)
    """Tasks for which the roles hold."""
    revoked: bool = False
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PinTable(Table):
    """An artifact of the release. It is whole and harmless unless something else is said."""

    role: Name
    name: Name
    kind: Kind
    repository: str = ""
    """`HOST/PATH`. Default: the local store."""
    licences: tuple[str, ...] = ()
    """SPDX expressions."""
    formats: tuple[str, ...] = ()
    """Of its files, one each."""
    missing: bool = False
    """It, or something that it names, is not there."""
    intact: bool = True
    """Its bytes are what its digest says."""
    unsafe_template: str = ""
    """Why its chat template is unsafe. Default: it is safe."""
    embedder: str = ""
    """Of an index: name of the model that made its vectors."""
    base: str = ""
    """Of an adapter: name of the model that it adapts."""
    runs_on: str = ""
    """Of a prompt: role of the model that takes it."""
    variables_required: tuple[str, ...] = ()
    variables_provided: tuple[str, ...] = ()
    context_tokens: Annotated[int, Range(ge=1)] | None = None
    budget_tokens: Annotated[int, Range(ge=1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable(Table):
    """A signed result of an evaluation."""

    by: Holder
    suite: Annotated[str, NotEmpty()]
    metric: Annotated[str, NotEmpty()]
    value: Decimal
    """As text."""
    lower: Decimal | None = None
    """End of the 95 % confidence interval."""
    upper: Decimal | None = None
    samples: Annotated[int, Range(ge=0)] = 1000
    age_days: Days = 1
    dataset: str = ""
    """Name of the pinned dataset. Default: the first one."""
    harness: DigestText | None = None
    registered_by: str = ""
    """Who signed the policy's criterion a day before it was measured. Default: nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalTable(Table):
    """A signed decision of a person."""

    by: Holder
    decision: Choice = Choice.APPROVED
    age_hours: Annotated[int, Range(ge=0, le=1_000_000)] = 1
    environment: str = ""
    """Default: the one that is asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictTable(Table):
    """A signed verdict of the gate from before."""

    by: Holder
    age_days: Days = 1
    passed: bool = True
    policy: DigestText | None = None
    """Default: the policy that is tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTable(Table):
    """What is given. A test takes what it does not say from the file's `given`."""

    task: Name | None = None
    environment: Name | None = None
    ask: Question | None = None
    """`promote`, `rollback`, or `admit`: may it run there. Default: `promote`."""
    now: Instant | None = None
    """Default: `"2026-01-07T12:00:00Z"`, a Wednesday."""
    pins: tuple[PinTable, ...] | None = None
    built_by: str | None = None
    """Who signed provenance of the release and of its pins. Default: nobody."""
    bom_by: str | None = None
    """Who signed bills of materials of the pins. Default: nobody."""
    evaluations: tuple[ResultTable, ...] | None = None
    running: tuple[ResultTable, ...] | None = None
    """Results of the release that runs there now; `[]` for one without. Default: nothing runs."""
    approvals: tuple[ApprovalTable, ...] | None = None
    verdict: VerdictTable | None = None
    hours_in_previous_stage: Annotated[int, Range(ge=0, le=1_000_000)] | None = None
    """Default: it never was there."""
    destinations: tuple[str, ...] | None = None
    data_classes: tuple[str, ...] | None = None
    logging_fields: tuple[str, ...] | None = None
    retention_days: Days | None = None
    ram_mib: Annotated[int, Range(ge=0)] | None = None
    vram_mib: Annotated[int, Range(ge=0)] | None = None
    requires: Mapping[Annotated[str, Matches("ramMiB|vramMiB")], int] | None = None
    """Memory that the release needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestTable(GivenTable):
    """One question, and what the policy must say."""

    name: Annotated[str, NotEmpty()]
    """The sentence that is false if the test fails."""
    expect: Outcome
    """`allow`, `deny` or `defer`."""
    rule: str = ""
    """The refusal that must be among those that are told: a name like `evaluation.threshold`, or
    a rule's number. Default: any."""
    only: bool = False
    """Nothing else may be refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTestTables(Table):
    """Tests of a policy."""

    tests: Annotated[tuple[TestTable, ...], NotEmpty()]
    given: GivenTable = field(default_factory=GivenTable)
    """What every test starts from."""
    keys: tuple[KeyTable, ...] = ()
    """The trust root."""
