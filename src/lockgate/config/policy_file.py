"""Reads `policy.toml`: checks the file, merges what stands in wider tables, makes the policy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from lockgate.config.load import Problem, check_with, listed, read
from lockgate.config.policy_flaws import flaws_of
from lockgate.config.policy_tables import (
    WEEKDAYS,
    EvaluationTable,
    FreezeTable,
    PolicyTables,
    RulesTable,
    TaskTable,
    time_of_day,
)
from lockgate.config.schema import Flaw, json_schema, validate_as
from lockgate.domain.decimals import decimal_of
from lockgate.domain.digest import Digest
from lockgate.domain.instants import instant_of
from lockgate.domain.policy_document import (
    EnvironmentRules,
    FreezeWindow,
    PolicyDocument,
    Require,
    RequiredEvaluation,
)

FILE_NAME: Final = "policy.toml"
TESTS_NAME: Final = "policy_test.toml"
_HINT: Final = "see every key with `lockgate policy schema`"


def load_policy(path: Path) -> PolicyDocument:
    """Read a policy.

    Raises:
        InvalidConfig: the file cannot be read, is not TOML, or contradicts the schema or itself;
            the message lists every problem with its line.

    """
    checked = check_policy(read(path, hint=f"name the policy, usually `{FILE_NAME}`"))
    if isinstance(checked, PolicyDocument):
        return checked
    raise listed(path, checked, hint=_HINT)


def check_policy(text: str) -> PolicyDocument | Sequence[Problem]:
    """Return the policy in a TOML text, or all its problems in the order of their lines."""
    return check_with(text, _judge)


def starter() -> Mapping[str, str]:
    """Return a policy to begin with and its tests, by file name."""
    folder = files("lockgate.config") / "template"
    return {name: (folder / name).read_text("utf-8") for name in (FILE_NAME, TESTS_NAME)}


def policy_schema() -> Mapping[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `policy.toml`."""
    return json_schema(PolicyTables)


def _judge(document: Mapping[str, Any]) -> PolicyDocument | list[Flaw]:
    tables = validate_as(PolicyTables, document)
    if isinstance(tables, list):
        return tables
    return list(flaws_of(tables)) or policy_of(tables)


def policy_of(tables: PolicyTables) -> PolicyDocument:
    """Merge: a task's table wins over the environment's, and that over the defaults."""
    return PolicyDocument(
        name=tables.name,
        environments={
            name: _merged(tables.defaults, rules) for name, rules in tables.environments.items()
        },
        tasks={
            task: {name: _of_task(tables, table, name) for name in tables.environments}
            for task, table in tables.tasks.items()
        },
        teams=dict(tables.teams),
        accepted_policies=tuple(Digest.parse(text) for text in tables.accepted_policies),
    )


def _of_task(tables: PolicyTables, table: TaskTable, environment: str) -> EnvironmentRules:
    narrow = table.environments.get(environment, RulesTable())
    wide = RulesTable(owners=table.owners)
    rules = _merged(tables.defaults, tables.environments[environment], wide, narrow)
    required = tuple(
        _evaluation(evaluation)
        for evaluation in table.evaluations
        if environment in evaluation.environments
        or (not evaluation.environments and rules.require is not Require.NONE)
    )
    return replace(rules, evaluations=(*rules.evaluations, *required))


def _merged(*layers: RulesTable) -> EnvironmentRules:
    """Make rules from tables, the narrowest last."""
    default = EnvironmentRules()

    def last(name: str) -> Any:
        for layer in reversed(layers):
            value = getattr(layer, name)
            if value is not None:
                return value
        return getattr(default, name, None)

    def span(name: str, unit: timedelta) -> timedelta | None:
        count = last(name)
        return None if count is None else count * unit

    day, hour = timedelta(days=1), timedelta(hours=1)
    return EnvironmentRules(
        require=last("require"),
        attestations={str(k): v for layer in layers for k, v in layer.attestations.items()},
        evaluations=tuple(_evaluation(e) for layer in layers for e in layer.evaluations),
        approvals=last("approvals"),
        approval_max_age=span("approval_max_age_days", day),
        owners=last("owners"),
        after=last("after"),
        soak=span("soak_hours", hour) or timedelta(),
        freezes=tuple(_freeze(f) for layer in layers for f in layer.freezes),
        break_glass=last("break_glass"),
        verdict_max_age=span("verdict_max_age_days", day),
        models=last("models"),
        external_models=last("external_models"),
        registries=last("registries"),
        destinations=last("destinations"),
        data_classes=last("data_classes"),
        licences=last("licences"),
        formats=last("formats"),
        logging_fields=last("logging_fields"),
        min_retention_days=last("min_retention_days"),
        max_retention_days=last("max_retention_days"),
    )


def _evaluation(table: EvaluationTable) -> RequiredEvaluation:
    days, slack = table.max_age_days, table.max_regression
    return RequiredEvaluation(
        suite=table.suite,
        metric=table.metric,
        comparator=table.comparator,
        threshold=decimal_of(table.threshold),
        dataset=table.dataset,
        min_samples=table.min_samples,
        max_age=None if days is None else timedelta(days=days),
        max_regression=None if slack is None else decimal_of(slack),
        baseline_required=table.baseline_required,
        interval_required=table.interval_required,
        preregistered=table.preregistered,
        harnesses=table.harnesses,
    )


def _freeze(table: FreezeTable) -> FreezeWindow:
    return FreezeWindow(
        reason=table.reason,
        starts=None if table.starts is None else instant_of(table.starts),
        ends=None if table.ends is None else instant_of(table.ends),
        weekdays=tuple(sorted(WEEKDAYS.index(day) for day in table.weekdays)),
        from_time=time_of_day(table.from_time),
        until_time=None if table.until_time is None else time_of_day(table.until_time),
    )
