"""Reads `policy_test.toml`: the tests that stand beside a policy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from lockgate.config.lines import dotted
from lockgate.config.load import Problem, check_with, listed, read
from lockgate.config.policy_test_tables import (
    ApprovalTable,
    GivenTable,
    PinTable,
    PolicyTestTables,
    ResultTable,
    TestTable,
    VerdictTable,
)
from lockgate.config.schema import Flaw, json_schema, validate_as
from lockgate.domain.decimals import decimal_of
from lockgate.domain.digest import Digest
from lockgate.domain.gate.decision import Decision, Outcome
from lockgate.domain.gate.evidence import Surroundings
from lockgate.domain.gate.scenario import (
    DEFAULT_NOW,
    HARNESS,
    GivenApproval,
    GivenEvaluation,
    GivenKey,
    GivenPin,
    GivenVerdict,
    Question,
    Scenario,
)
from lockgate.domain.instants import instant_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTest:
    """One question, and what the policy must say."""

    name: str
    scenario: Scenario
    expect: Outcome
    rule: str
    only: bool

    def shortfall(self, decision: Decision) -> str:
        """Say how a decision differs from what is expected; empty if it does not."""
        if decision.verdict is not self.expect:
            return f"expected `{self.expect}`, the policy says `{decision.verdict}`"
        names = [finding.name for finding in decision.refusals]
        told = {*names, *(str(int(finding.rule)) for finding in decision.refusals)}
        if self.rule and self.rule not in told:
            return f"expected a refusal by `{self.rule}`, refused by: {', '.join(names) or 'none'}"
        if self.only and len(names) > 1:
            return f"expected one refusal, refused by: {', '.join(names)}"
        return ""


def load_tests(path: Path) -> Sequence[PolicyTest]:
    """Read tests.

    Raises:
        InvalidConfig: the file cannot be read, is not TOML, or contradicts the schema; the
            message lists every problem with its line.

    """
    checked = check_tests(read(path, hint=f"write the policy's tests to `{path.name}`"))
    if isinstance(checked, tuple):
        return checked
    raise listed(path, checked, hint="see every key with `lockgate policy schema --tests`")


def check_tests(text: str) -> tuple[PolicyTest, ...] | Sequence[Problem]:
    """Return the tests in a TOML text, or all its problems in the order of their lines."""
    return check_with(text, _judge)


def policy_test_schema() -> Mapping[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `policy_test.toml`."""
    return json_schema(PolicyTestTables)


def _judge(document: Mapping[str, Any]) -> tuple[PolicyTest, ...] | list[Flaw]:
    tables = validate_as(PolicyTestTables, document)
    if isinstance(tables, list):
        return tables
    return list(_flaws(tables)) or tuple(_test(tables, test) for test in tables.tests)


def _flaws(tables: PolicyTestTables) -> Iterator[Flaw]:
    for index, test in enumerate(tables.tests):
        for name in ("task", "environment"):
            if getattr(test, name) is None and getattr(tables.given, name) is None:
                path = ("tests", index, name)
                yield Flaw(path=path, message=f"`{dotted(path)}` is missing here and in `given`")


def _test(tables: PolicyTestTables, test: TestTable) -> PolicyTest:
    keys = tuple(
        GivenKey(
            holder=key.holder,
            roles=key.roles,
            scopes=key.scopes,
            revoked=key.revoked,
            expired=key.expired,
        )
        for key in tables.keys
    )
    return PolicyTest(
        name=test.name,
        scenario=_scenario(tables.given, test, keys),
        expect=test.expect,
        rule=test.rule,
        only=test.only,
    )


def _scenario(given: GivenTable, test: TestTable, keys: tuple[GivenKey, ...]) -> Scenario:
    def told(name: str, default: Any = None) -> Any:
        for table in (test, given):
            value = getattr(table, name)
            if value is not None:
                return value
        return default

    now, running, verdict = told("now"), told("running"), told("verdict")
    hours = told("hours_in_previous_stage")
    return Scenario(
        task=told("task"),
        environment=told("environment"),
        question=told("ask", Question.PROMOTE),
        now=DEFAULT_NOW if now is None else instant_of(now),
        keys=keys,
        pins=tuple(_pin(pin) for pin in told("pins", ())),
        built_by=told("built_by", ""),
        bom_by=told("bom_by", ""),
        evaluations=tuple(_result(result) for result in told("evaluations", ())),
        running=None if running is None else tuple(_result(result) for result in running),
        approvals=tuple(_approval(approval) for approval in told("approvals", ())),
        verdict=None if verdict is None else _verdict(verdict),
        in_previous_stage=None if hours is None else timedelta(hours=hours),
        surroundings=Surroundings(
            destinations=told("destinations", ()),
            data_classes=told("data_classes", ()),
            logging_fields=told("logging_fields"),
            retention_days=told("retention_days"),
            ram_mib=told("ram_mib"),
            vram_mib=told("vram_mib"),
        ),
        requires=told("requires"),
    )


def _pin(table: PinTable) -> GivenPin:
    return GivenPin(
        role=table.role,
        name=table.name,
        kind=table.kind,
        repository=table.repository,
        licences=table.licences,
        formats=table.formats,
        missing=table.missing,
        intact=table.intact,
        unsafe_template=table.unsafe_template,
        embedder=table.embedder,
        base=table.base,
        runs_on=table.runs_on,
        variables_required=table.variables_required,
        variables_provided=table.variables_provided,
        context_tokens=table.context_tokens,
        budget_tokens=table.budget_tokens,
    )


def _result(table: ResultTable) -> GivenEvaluation:
    return GivenEvaluation(
        by=table.by,
        suite=table.suite,
        metric=table.metric,
        value=decimal_of(table.value),
        lower=None if table.lower is None else decimal_of(table.lower),
        upper=None if table.upper is None else decimal_of(table.upper),
        samples=table.samples,
        age=timedelta(days=table.age_days),
        dataset=table.dataset,
        harness=HARNESS if table.harness is None else Digest.parse(table.harness),
        registered_by=table.registered_by,
    )


def _approval(table: ApprovalTable) -> GivenApproval:
    return GivenApproval(
        by=table.by,
        choice=table.decision,
        age=timedelta(hours=table.age_hours),
        environment=table.environment,
    )


def _verdict(table: VerdictTable) -> GivenVerdict:
    return GivenVerdict(
        by=table.by,
        age=timedelta(days=table.age_days),
        passed=table.passed,
        policy=None if table.policy is None else Digest.parse(table.policy),
    )
