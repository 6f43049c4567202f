"""What an organisation demands of a release before it may run somewhere: policy as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from lockgate.domain.decimals import decimal_text
from lockgate.domain.digest import Digest, Json
from lockgate.domain.instants import instant_text


class Require(StrEnum):
    """What an environment demands before it runs a release."""

    NONE = "none"
    """Anything runs, unsigned local builds too; they are marked so."""
    SIGNED = "signed"
    """A builder signed the release and what it pins."""
    PROMOTED = "promoted"
    """The gate allowed it for this environment, under this policy."""


class Comparator(StrEnum):
    """How a metric is held against a threshold."""

    AT_LEAST = ">="
    ABOVE = ">"
    AT_MOST = "<="
    BELOW = "<"
    EQUAL = "=="


class Claim(StrEnum):
    """An attestation that a policy can require of an artifact."""

    PROVENANCE = "provenance"
    TEST_RESULT = "test-result"
    BOM = "bom"
    APPROVAL = "approval"


class BreakGlass(StrEnum):
    """What a signed break-glass approval may set aside."""

    ROLLBACK = "rollback"
    FREEZE = "freeze"
    SOAK = "soak"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredEvaluation:
    """An evaluation that must have been run, and what it must have shown."""

    suite: str
    metric: str
    comparator: Comparator
    threshold: Decimal
    dataset: str = ""
    """Name of the pinned dataset; empty for the only one that the release pins."""
    min_samples: int = 1
    max_age: timedelta | None = None
    max_regression: Decimal | None = None
    """How much worse than what runs there now; None does not compare."""
    baseline_required: bool = True
    """Refuse if what runs there now has no such result to compare with."""
    interval_required: bool = False
    """Refuse a result without a confidence interval."""
    preregistered: bool = False
    """Refuse a result whose criterion a policy owner had not signed before it was measured."""
    harnesses: tuple[str, ...] = ("*",)
    """Digests of the programs that may have measured it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeWindow:
    """A time in which nothing is promoted: once, or every week. UTC; the end is outside."""

    reason: str
    starts: datetime | None = None
    ends: datetime | None = None
    weekdays: tuple[int, ...] = ()
    """Monday is 0. Empty for a window that happens once."""
    from_time: time = time.min
    until_time: time | None = None
    """None: to the end of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRules:
    """What one environment demands of one task's releases."""

    require: Require = Require.NONE
    attestations: Mapping[str, tuple[Claim, ...]] = field(default_factory=dict)
    """By kind of artifact. What is not named needs provenance, unless `require` is NONE."""
    evaluations: tuple[RequiredEvaluation, ...] = ()
    approvals: int = 0
    """How many different holders must approve."""
    approval_max_age: timedelta | None = None
    owners: tuple[str, ...] = ()
    """Teams whose members may approve; empty for every approver."""
    after: str = ""
    """The stage that a release must have reached before."""
    soak: timedelta = timedelta()
    """How long it must have been there."""
    freezes: tuple[FreezeWindow, ...] = ()
    break_glass: tuple[BreakGlass, ...] = (BreakGlass.ROLLBACK,)
    verdict_max_age: timedelta | None = None
    """How long a verdict of the gate lets a release run, or be rolled back to."""
    models: tuple[str, ...] = ("*",)
    """Names of models that may be pinned. A pattern may end in `*`, here and below."""
    external_models: tuple[str, ...] | None = None
    """Names of models that may run on a server which shows no bytes. None: all where `require` is
    NONE, else none."""
    registries: tuple[str, ...] = ("*",)
    """`HOST/PATH` that artifacts may come from; `local` for the local store."""
    destinations: tuple[str, ...] = ("*",)
    """Hosts that data may be sent to."""
    data_classes: tuple[str, ...] = ("*",)
    licences: tuple[str, ...] = ("*",)
    """SPDX identifiers, or `ID WITH EXCEPTION`."""
    formats: tuple[str, ...] = ("gguf", "safetensors", "onnx", "json", "text")
    """Formats of the files of models and adapters. Pickle cannot be allowed."""
    logging_fields: tuple[str, ...] = ()
    """What an audit event must at least record."""
    min_retention_days: int | None = None
    max_retention_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """One policy: rules by environment, and what differs by task."""

    name: str
    environments: Mapping[str, EnvironmentRules] = field(default_factory=dict)
    tasks: Mapping[str, Mapping[str, EnvironmentRules]] = field(default_factory=dict)
    """By task, then by environment: already merged with the environment's own rules."""
    teams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Holders of keys, by team."""
    accepted_policies: tuple[Digest, ...] = ()
    """Earlier policies whose verdicts still let a release run."""
    embedded: bool = False
    """The policy of a machine that has none: local builds run unsigned, and are marked so."""

    def rules(self, task: str, environment: str) -> EnvironmentRules | None:
        """Return what `environment` demands of `task`; None if the policy does not know it."""
        of_task = self.tasks.get(task, {}).get(environment)
        if of_task is not None:
            return of_task
        found = self.environments.get(environment)
        return EnvironmentRules() if found is None and self.embedded else found

    @property
    def document(self) -> dict[str, Json]:
        """The policy as JSON: equal policies give the same bytes, however they were written."""
        return {
            "apiVersion": "lockgate/v1",
            "kind": "policy",
            "name": self.name,
            "embedded": self.embedded,
            "environments": {n: plain(r) for n, r in self.environments.items()},
            "tasks": {t: {n: plain(r) for n, r in by.items()} for t, by in self.tasks.items()},
            "teams": {name: sorted(members) for name, members in self.teams.items()},
            "acceptedPolicies": sorted(str(digest) for digest in self.accepted_policies),
        }

    @property
    def digest(self) -> Digest:
        """What a verdict of the gate names as its policy."""
        return Digest.of_json(self.document)


EMBEDDED: Final = PolicyDocument(name="embedded", embedded=True)
"""No keys, no registry, no policy: everything local runs, and is marked as unsigned."""


def plain(value: object) -> Json:
    """Return a policy's value as JSON: decimals and times as text, durations in seconds."""
    match value:
        case StrEnum() | Digest():
            found: Json = str(value)
        case bool() | int() | str() | None:
            found = value
        case Decimal():
            found = decimal_text(value)
        case timedelta():
            found = int(value.total_seconds())
        case datetime():
            found = instant_text(value)
        case time():
            found = value.isoformat()
        case Mapping():
            found = {str(key): plain(item) for key, item in value.items()}
        case Sequence():
            found = [plain(item) for item in value]
        case _:
            assert is_dataclass(value)
            found = {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return found
