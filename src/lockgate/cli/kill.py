"""`lockgate kill`: turn a task, a model or everything off, on every replica."""

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import click

from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.errors import UsageError

if TYPE_CHECKING:
    from lockgate.traffic.kill_switch import Kills, Scope


_WHAT = click.argument("what", metavar="all|task|model")
_NAME = click.argument("name", default="")


@click.group()
def kill() -> None:
    """Turn a task, a model or everything off, on every replica within a second."""


@kill.command(
    epilog=examples(
        "lockgate kill off model smollm2 --reason 'wrong answers since noon'",
        "lockgate kill off task review --leave nothing --reason 'leaks names'",
        "lockgate kill off all --reason incident-12",
    )
)
@_WHAT
@_NAME
@click.option(
    "--leave",
    "--leaves",
    "leave",
    type=click.Choice(["rules", "nothing"]),
    default="rules",
    show_default=True,
    help="What still answers. A model leaves the rest of its fallback chains.",
)
@click.option("--reason", required=True, help="For the audit log.")
@click.pass_obj
def off(session: Session, what: str, name: str, leave: str, reason: str) -> None:
    """Turn something off. `task:NAME` is `task NAME`. A second time replaces the reason."""
    from lockgate.app.kills import is_known

    scope, name = _checked(what, name)
    if not is_known(session.loaded, session.environment, scope, name):
        words(f"warning: no {scope} `{name}` is known here; it is turned off all the same")
    session.run(partial(_off, session, scope, name, leave, reason))
    data(f"off: {scope} {name}".rstrip())


@kill.command(epilog=examples("lockgate kill on model smollm2 --reason 'new release'"))
@_WHAT
@_NAME
@click.option("--reason", required=True, help="For the audit log.")
@click.pass_obj
def on(session: Session, what: str, name: str, reason: str) -> None:
    """Turn something on again."""
    scope, name = _checked(what, name)
    session.run(partial(_on, session, scope, name, reason))
    data(f"on: {scope} {name}".rstrip())


@kill.command("list", epilog=examples("lockgate kill list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_(session: Session, *, as_json: bool) -> None:
    """List what is off, by whom, since when and why."""
    from lockgate.app.kills import document

    found = session.run(partial(_list, session)).kills
    if as_json:
        data_json([document(kill) for kill in found])
        return
    rows = [(str(k.scope), k.name or "-", str(k.leaves), k.at, k.actor, k.reason) for k in found]
    table(("SCOPE", "NAME", "LEAVES", "SINCE", "ACTOR", "REASON"), rows)


def _checked(what: str, name: str) -> "tuple[Scope, str]":
    from lockgate.traffic.kill_switch import Scope

    kind, divided, rest = what.partition(":")
    if divided and not name:
        name = rest
    elif divided:
        kind = what
    if kind not in tuple(Scope):
        raise UsageError(
            f"`{what[:80]}` cannot be turned off", hint="it is `all`, `task NAME` or `model NAME`"
        )
    if (kind == Scope.ALL) != (name == ""):
        raise UsageError(
            f"`{kind}` takes {'no name' if kind == Scope.ALL else 'a name'}",
            hint="see `lockgate kill off --help`",
        )
    return Scope(kind), name


async def _off(session: Session, scope: "Scope", name: str, leaves: str, reason: str) -> None:
    from lockgate.app.calls import os_user
    from lockgate.app.kills import turn_off
    from lockgate.traffic.kill_switch import Kill, Leaves

    kill = Kill(
        scope=scope,
        name=name,
        leaves=Leaves(leaves),
        reason=reason,
        actor=os_user().name,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    async with session.store() as state:
        await turn_off(state, kill)


async def _on(session: Session, scope: "Scope", name: str, reason: str) -> None:
    from lockgate.app.calls import os_user
    from lockgate.app.kills import turn_on

    async with session.store() as state:
        await turn_on(state, scope, name, reason=reason, actor=os_user().name)


async def _list(session: Session) -> "Kills":
    from lockgate.app.kills import kills

    async with session.store() as state:
        return await kills(state)
