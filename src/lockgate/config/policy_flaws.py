"""What is wrong with a policy although every single value is right."""

from collections.abc import Iterator, Mapping

from lockgate.config.lines import KeyPath, dotted
from lockgate.config.policy_tables import (
    EvaluationTable,
    FreezeTable,
    PolicyTables,
    RulesTable,
    time_of_day,
)
from lockgate.config.schema import Flaw, did_you_mean
from lockgate.domain.gate.licence import Licence, parse
from lockgate.domain.gate.rules.safety import EXECUTABLE
from lockgate.domain.instants import instant_of


def flaws_of(tables: PolicyTables) -> Iterator[Flaw]:
    """Yield every contradiction, and every name that stands for nothing."""
    yield from _rules(tables, tables.defaults, ("defaults",))
    for name, rules in tables.environments.items():
        yield from _rules(tables, rules, ("environments", name))
    yield from _cycles(tables)
    for task, table in tables.tasks.items():
        path: KeyPath = ("tasks", task)
        yield from _known_teams(tables, table.owners, (*path, "owners"))
        for index, evaluation in enumerate(table.evaluations):
            at: KeyPath = (*path, "evaluations", index, "environments")
            for name in evaluation.environments:
                yield from _known(name, tables.environments, at, "environment")
        for name, rules in table.environments.items():
            where = (*path, "environments", name)
            yield from _known(name, tables.environments, where, "environment")
            yield from _rules(tables, rules, where)


def _rules(tables: PolicyTables, rules: RulesTable, path: KeyPath) -> Iterator[Flaw]:
    yield from _known_teams(tables, rules.owners, (*path, "owners"))
    if rules.after is not None:
        yield from _known(rules.after, tables.environments, (*path, "after"), "environment")
    for index, text in enumerate(rules.formats or ()):
        if text in EXECUTABLE:
            at: KeyPath = (*path, "formats", index)
            yield Flaw(
                path=at,
                message=f"`{dotted(at)}`: `{text}` runs code when it is loaded, no policy can "
                "allow it",
            )
    for index, text in enumerate(rules.licences or ()):
        yield from _licence(text, (*path, "licences", index))
    least, most = rules.min_retention_days, rules.max_retention_days
    if least is not None and most is not None and least > most:
        at = (*path, "min_retention_days")
        yield Flaw(path=at, message=f"`{dotted(at)}` is {least}, more than the maximum of {most}")
    for index, freeze in enumerate(rules.freezes):
        yield from _freeze(freeze, (*path, "freezes", index))
    for index, evaluation in enumerate(rules.evaluations):
        yield from _evaluation(evaluation, (*path, "evaluations", index))


def _evaluation(evaluation: EvaluationTable, path: KeyPath) -> Iterator[Flaw]:
    if evaluation.environments:
        at = (*path, "environments")
        yield Flaw(
            path=at,
            message=f"`{dotted(at)}` may only stand in `tasks.NAME.evaluations`: here the table "
            "says where it is required",
        )


def _licence(text: str, path: KeyPath) -> Iterator[Flaw]:
    if text == "*":
        return
    try:
        found = parse(text)
    except ValueError as error:
        yield Flaw(path=path, message=f"`{dotted(path)}`: `{text[:80]}`: {error}")
        return
    if not isinstance(found, Licence):
        yield Flaw(
            path=path,
            message=f"`{dotted(path)}`: list the licences of `{text[:80]}` one by one",
        )


def _freeze(freeze: FreezeTable, path: KeyPath) -> Iterator[Flaw]:
    once = freeze.starts is not None or freeze.ends is not None
    if once == bool(freeze.weekdays):
        yield Flaw(
            path=path, message=f"`{dotted(path)}` needs either `starts` and `ends`, or `weekdays`"
        )
    elif once and (freeze.starts is None or freeze.ends is None):
        yield Flaw(path=path, message=f"`{dotted(path)}` needs both `starts` and `ends`")
    elif freeze.starts is not None and freeze.ends is not None:
        if instant_of(freeze.starts) >= instant_of(freeze.ends):
            yield Flaw(
                path=path,
                message=f"`{dotted(path)}` ends at {freeze.ends}, before it starts at "
                f"{freeze.starts}",
            )
        if freeze.from_time != "00:00" or freeze.until_time is not None:
            yield Flaw(path=path, message=f"`{dotted(path)}`: times of day belong to `weekdays`")
    elif freeze.until_time is not None and (
        time_of_day(freeze.until_time) <= time_of_day(freeze.from_time)
    ):
        yield Flaw(
            path=path,
            message=f"`{dotted(path)}` ends at {freeze.until_time}, before it starts at "
            f"{freeze.from_time}; write two windows for one past midnight",
        )


def _cycles(tables: PolicyTables) -> Iterator[Flaw]:
    default = tables.defaults.after
    for name in tables.environments:
        seen, at = {name}, tables.environments[name].after or default
        while at is not None and at in tables.environments and at not in seen:
            seen.add(at)
            at = tables.environments[at].after or default
        if at == name:
            path: KeyPath = ("environments", name, "after")
            yield Flaw(path=path, message=f"`{dotted(path)}`: `{name}` would come after itself")


def _known_teams(
    tables: PolicyTables, owners: tuple[str, ...] | None, path: KeyPath
) -> Iterator[Flaw]:
    for index, team in enumerate(owners or ()):
        yield from _known(team, tables.teams, (*path, index), "team")


def _known(name: str, known: Mapping[str, object], path: KeyPath, what: str) -> Iterator[Flaw]:
    if name not in known:
        hint = did_you_mean(name, list(known))
        yield Flaw(path=path, message=f"`{dotted(path)}`: no {what} `{name}`{hint}")
