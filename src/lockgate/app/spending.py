"""Budgets and usage for people: what the command line and the admin API read and change."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lockgate.app.calls import new_id
from lockgate.domain.audit import Entry
from lockgate.domain.budget import Balance, Budget, Lease, Period, UsageEvent, bucket, check_account
from lockgate.domain.digest import Json
from lockgate.errors import NotFound, UsageError
from lockgate.ports import GatewayState, UsageTotal

MOST_NANOS = (1 << 62) - 1
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A budget, and how much of its present period is used."""

    budget: Budget
    period: str
    spent: int
    held: int
    """Lent to replicas and not spent: in calls that are being made, or at hand for the next."""
    expired: int
    """The part of `held` whose replica has not been heard of: it counts as spent until its spool
    is read."""

    @property
    def document(self) -> dict[str, Json]:
        """Amounts in nanos, as text: they may be beyond what JSON readers keep exact."""
        return {
            "account": self.budget.account,
            "period": self.period,
            "limit_nanos": str(self.budget.nanos),
            "spent_nanos": str(self.spent),
            "held_nanos": str(self.held),
            "expired_nanos": str(self.expired),
        }


async def standings(state: GatewayState, now: datetime) -> Sequence[Standing]:
    """Return every budget in its present period."""
    async with state.begin() as unit:
        budgets = await unit.budgets.all()
        balances = {balance.bucket: balance for balance in await unit.budgets.balances()}
        leases = await unit.budgets.leases()
    return [
        _standing(budget, balances.get(bucket(budget.account, budget.period, now)), leases, now)
        for budget in budgets
    ]


async def set_budget(state: GatewayState, budget: Budget, *, actor: str, now: datetime) -> None:
    """Set or change a limit. Replicas follow within a second.

    Raises:
        UsageError: the account or the amount is none.

    """
    check_account(budget.account)
    if not 0 <= budget.nanos <= MOST_NANOS:
        raise UsageError(f"a budget is between 0 and {MOST_NANOS} nanos, not {budget.nanos}")
    async with state.begin() as unit:
        await unit.lock_audit()
        await unit.budgets.put(budget)
        await unit.append(_entry("budget.set", budget, actor, now))


async def drop_budget(
    state: GatewayState, account: str, period: Period, *, actor: str, now: datetime
) -> None:
    """Take a limit away. Raises NotFound if there is none."""
    async with state.begin() as unit:
        await unit.lock_audit()
        if not await unit.budgets.drop(account, period):
            raise NotFound(
                f"`{account}` has no budget by {period}",
                hint="see `lockgate budget list`",
                request_hint="see `GET /admin/budgets`",
            )
        gone = Budget(account=account, period=period, nanos=0)
        await unit.append(_entry("budget.drop", gone, actor, now))


async def open_leases(state: GatewayState) -> Sequence[Lease]:
    """Return what replicas hold of budgets."""
    async with state.begin() as unit:
        return await unit.budgets.leases()


async def write_off(
    state: GatewayState, replica: str, *, free: bool, actor: str, now: datetime
) -> Sequence[Lease]:
    """End the leases of a replica that does not come back, and return them.

    What was lent and is not known to be spent counts as spent, or with `free` can be spent again.
    Should its spool turn up after all, its usage is booked; that it then counts twice is only on
    the safe side.

    Raises:
        NotFound: it has none.
        UsageError: it was heard of a moment ago.

    """
    async with state.begin() as unit:
        await unit.lock_audit()
        leases = await unit.budgets.leases(replica)
        if not leases:
            raise NotFound(
                f"the replica `{replica[:80]}` holds nothing", hint="see `lockgate budget leases`"
            )
        expires_at = max(lease.expires_at for lease in leases)
        if expires_at > now:
            raise UsageError(
                f"the replica `{replica}` lives: its leases are for until "
                f"{expires_at:%Y-%m-%d %H:%M:%S}, and it is {now:%H:%M:%S} (UTC)",
                hint="stop it first, or wait",
            )
        await unit.budgets.close(replica, keep=not free)
        entry = Entry(
            id=new_id(),
            at=now,
            actor=actor,
            action="budget.write-off",
            subject=replica,
            detail={
                "free": free,
                "leases": [
                    {
                        "account": lease.bucket.account,
                        "period": lease.bucket.period,
                        "nanos": str(lease.nanos),
                        "spent": str(lease.spent),
                    }
                    for lease in leases
                ],
            },
        )
        await unit.append(entry)
    return leases


async def usage_by(
    state: GatewayState,
    dimensions: Sequence[str],
    *,
    since: datetime,
    until: datetime,
    limit: int,
) -> Sequence[UsageTotal]:
    """Sum the ledger, as `ports.UsageLedger.totals` does, the dearest first."""
    async with state.begin() as unit:
        return await unit.usage.totals(dimensions, since=since, until=until, limit=limit)


async def usage_pages(
    state: GatewayState, *, since: datetime, until: datetime
) -> AsyncGenerator[Sequence[UsageEvent]]:
    """Yield the events of a time span, the oldest first, a transaction a page."""
    after = (since, "")
    while True:
        async with state.begin() as unit:
            page = await unit.usage.page(after=after, until=until, limit=_PAGE)
        if not page:
            return
        yield page
        after = (page[-1].at, page[-1].id)


def _standing(
    budget: Budget, balance: Balance | None, leases: Sequence[Lease], now: datetime
) -> Standing:
    place = bucket(budget.account, budget.period, now)
    expired = [one for one in leases if one.bucket == place and one.expires_at <= now]
    return Standing(
        budget=budget,
        period=place.period,
        spent=balance.spent if balance else 0,
        held=balance.lent - balance.spent if balance else 0,
        expired=sum(one.nanos - one.spent for one in expired),
    )


def _entry(action: str, budget: Budget, actor: str, now: datetime) -> Entry:
    return Entry(
        id=new_id(),
        at=now,
        actor=actor,
        action=action,
        subject=budget.account,
        detail={"period": str(budget.period), "nanos": str(budget.nanos)},
    )
