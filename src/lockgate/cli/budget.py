"""`lockgate budget`: the most that teams, keys and tasks may spend."""

from datetime import UTC, datetime

import click

from lockgate.cli.options import examples
from lockgate.cli.output import data_json, table, words
from lockgate.cli.session import Session
from lockgate.domain.budget import Budget, Lease, Period
from lockgate.domain.money import money, parse_money
from lockgate.errors import UsageError

_PERIODS = click.Choice([str(period) for period in Period])


@click.group()
def budget() -> None:
    """Set and show the most that teams, keys and tasks may spend."""


@budget.command(
    "set",
    epilog=examples(
        "lockgate budget set team:shop 250 --per month",
        "lockgate budget set key:ci 5.50 --per day",
    ),
)
@click.argument("account")
@click.argument("amount")
@click.option("--per", type=_PERIODS, default="month", show_default=True)
@click.pass_obj
def set_limit(session: Session, account: str, amount: str, per: str) -> None:
    """Let ACCOUNT (`team:NAME`, `key:NAME`, `task:NAME`) spend AMOUNT of the currency."""
    from lockgate.app.calls import os_user
    from lockgate.app.payers import can_spend
    from lockgate.app.spending import set_budget

    if session.loaded.config.books.prices is None:
        raise UsageError(
            "nothing has a price here, so a budget would hold nothing back",
            hint="name a price file with `books.prices` in lockgate.toml",
        )
    try:
        nanos = parse_money(amount)
    except ValueError as error:
        raise UsageError(str(error)) from error
    chosen = Budget(account=account, period=Period(per), nanos=nanos)

    async def act() -> bool:
        async with session.store() as state:
            await set_budget(state, chosen, actor=os_user().name, now=datetime.now(UTC))
            return await can_spend(session.loaded, state, account)

    known = session.run(act)
    words(f"`{account}` may spend {money(nanos)} {_often(per)}")
    if not known:
        words(f"warning: nothing here is charged to `{account}` yet; see `lockgate token list`")


@budget.command("drop", epilog=examples("lockgate budget drop team:shop --per month"))
@click.argument("account")
@click.option("--per", type=_PERIODS, default="month", show_default=True)
@click.pass_obj
def drop_limit(session: Session, account: str, per: str) -> None:
    """Let ACCOUNT spend without this limit."""
    from lockgate.app.calls import os_user
    from lockgate.app.spending import drop_budget

    async def act() -> None:
        async with session.store() as state:
            now = datetime.now(UTC)
            await drop_budget(state, account, Period(per), actor=os_user().name, now=now)

    session.run(act)
    words(f"`{account}` has no limit {_often(per)} any more")


@budget.command("list", epilog=examples("lockgate budget list", "lockgate budget list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array; amounts in nanos.")
@click.pass_obj
def list_budgets(session: Session, *, as_json: bool) -> None:
    """Show each budget, what is spent of it, and what replicas hold."""
    from lockgate.app.spending import Standing, standings

    async def act() -> list[Standing]:
        async with session.store() as state:
            return list(await standings(state, datetime.now(UTC)))

    found = session.run(act)
    if as_json:
        data_json([each.document for each in found])
        return
    rows = [
        (
            each.budget.account,
            each.period,
            money(each.budget.nanos),
            money(each.spent),
            money(each.held),
            money(each.expired),
        )
        for each in found
    ]
    table(("ACCOUNT", "PERIOD", "LIMIT", "SPENT", "HELD", "EXPIRED"), rows)


def _often(per: str) -> str:
    return "in total" if per == Period.TOTAL else f"per {per}"


@budget.command("leases", epilog=examples("lockgate budget leases"))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array; amounts in nanos.")
@click.pass_obj
def list_leases(session: Session, *, as_json: bool) -> None:
    """Show what each replica holds of budgets."""
    from lockgate.app.spending import open_leases

    async def act() -> list[Lease]:
        async with session.store() as state:
            return list(await open_leases(state))

    found, now = session.run(act), datetime.now(UTC)
    if as_json:
        data_json(
            [
                {
                    "replica": each.replica,
                    "account": each.bucket.account,
                    "period": each.bucket.period,
                    "nanos": str(each.nanos),
                    "spent_nanos": str(each.spent),
                    "expires_at": each.expires_at.isoformat(),
                }
                for each in found
            ]
        )
        return
    rows = [
        (
            each.replica,
            each.bucket.account,
            each.bucket.period,
            money(each.nanos),
            money(each.spent),
            "expired" if each.expires_at <= now else "lives",
        )
        for each in found
    ]
    table(("REPLICA", "ACCOUNT", "PERIOD", "LENT", "SPENT", "STATE"), rows)


@budget.command(
    "write-off",
    epilog=examples(
        "lockgate budget write-off 5f2c9d5f5d4c4e0e9f3f0c1b2a394857",
        "lockgate budget write-off 5f2c9d5f5d4c4e0e9f3f0c1b2a394857 --free",
    ),
)
@click.argument("replica")
@click.option("--free", is_flag=True, help="What is not known to be spent can be spent again.")
@click.pass_obj
def write_off_leases(session: Session, replica: str, *, free: bool) -> None:
    """End the leases of a REPLICA whose host does not come back; they count as spent.

    A replica that only died needs none of this: the next one on its host reads its spool.
    """
    from lockgate.app.calls import os_user
    from lockgate.app.spending import write_off

    async def act() -> list[Lease]:
        async with session.store() as state:
            now, actor = datetime.now(UTC), os_user().name
            return list(await write_off(state, replica, free=free, actor=actor, now=now))

    unknown = {each.bucket: each.nanos - each.spent for each in session.run(act)}
    for place, nanos in unknown.items():
        how = "can be spent again" if free else "count as spent"
        words(f"`{place.account}`, {place.period}: {money(nanos)} {how}")
