"""Budgets, what is lent of them to replicas, and what came back."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from lockgate.domain.budget import Balance, Bucket, Budget, Lease, Loan, Period
from lockgate.domain.budget import bucket as bucket_of
from lockgate.errors import Corrupt
from lockgate.store import rows
from lockgate.store.sql import Connection, Row


class SqlBudgets:
    """Implements `ports.BudgetBook` on a Connection.

    For each bucket, always: `lent` = what replicas' leases are for + `settled`, which is what
    closed leases had spent.
    """

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    async def put(self, budget: Budget) -> None:
        await self._db.run(
            "put_budget", account=budget.account, period=str(budget.period), nanos=budget.nanos
        )

    async def drop(self, account: str, period: Period) -> bool:
        return bool(await self._db.run("drop_budget", account=account, period=str(period)))

    async def all(self) -> Sequence[Budget]:
        return [_budget(row) for row in await self._db.run("budgets")]

    async def balances(self) -> Sequence[Balance]:
        return [
            Balance(
                bucket=_bucket(row), lent=rows.number(row, "lent"), spent=rows.number(row, "spent")
            )
            for row in await self._db.run("balances")
        ]

    async def leases(self, replica: str | None = None) -> Sequence[Lease]:
        return [
            Lease(
                replica=rows.text(row, "replica"),
                bucket=_bucket(row),
                nanos=rows.number(row, "nanos"),
                spent=rows.number(row, "spent"),
                expires_at=rows.instant(row, "expires_at"),
            )
            for row in await self._db.run("leases", replica=replica)
        ]

    async def lend(self, lease: Lease, *, limit: int, need: int) -> Loan:
        place = {"account": lease.bucket.account, "period": lease.bucket.period}
        await self._db.run("open_account", **place)
        for row in await self._db.run("lend", **place, most=limit, need=need, ask=lease.nanos):
            loan = Loan(nanos=rows.number(row, "loan"), left=limit - rows.number(row, "lent"))
            await self._db.run(
                "add_to_lease",
                **place,
                replica=lease.replica,
                nanos=loan.nanos,
                expires_at=rows.as_time(lease.expires_at),
            )
            return loan
        (account,) = await self._db.run("account", **place)
        return Loan(nanos=0, left=max(0, limit - rows.number(account, "lent")))

    async def give_back(self, replica: str, bucket: Bucket, nanos: int) -> bool:
        place = {"account": bucket.account, "period": bucket.period}
        taken = await self._db.run("take_from_lease", **place, replica=replica, nanos=nanos)
        if taken:
            await self._db.run("return_to_account", **place, nanos=nanos, settled=0)
        return bool(taken)

    async def spend(
        self, replica: str, spent: Mapping[Bucket, int], *, expires_at: datetime
    ) -> None:
        for bucket in sorted(spent):
            await self._db.run(
                "spend_lease",
                replica=replica,
                account=bucket.account,
                period=bucket.period,
                nanos=spent[bucket],
                expires_at=rows.as_time(expires_at),
            )

    async def renew(self, replica: str, expires_at: datetime) -> None:
        await self._db.run("renew_leases", replica=replica, expires_at=rows.as_time(expires_at))

    async def close(self, replica: str, *, keep: bool = False) -> None:
        held = await self.leases(replica)
        await self._db.run("drop_leases", replica=replica)
        for lease in held:
            unspent = 0 if keep else lease.nanos - lease.spent
            await self._db.run(
                "return_to_account",
                account=lease.bucket.account,
                period=lease.bucket.period,
                nanos=unspent,
                settled=lease.spent if not keep else lease.nanos,
            )

    async def prune(self, before: datetime, *, limit: int) -> int:
        day, month = (bucket_of("", kind, before).period for kind in (Period.DAY, Period.MONTH))
        past: dict[str, str | int] = {"day": day, "month": month, "most": limit}
        ended = await self._db.run("take_past_leases", **past)
        for row in sorted(ended, key=lambda row: (str(row["account"]), str(row["period"]))):
            nanos, spent = rows.number(row, "nanos"), rows.number(row, "spent")
            await self._db.run(
                "return_to_account",
                account=rows.text(row, "account"),
                period=rows.text(row, "period"),
                nanos=nanos - spent,
                settled=spent,
            )
        return len(ended) + len(await self._db.run("drop_past_accounts", **past))


def _bucket(row: Row) -> Bucket:
    return Bucket(rows.text(row, "account"), rows.text(row, "period"))


def _budget(row: Row) -> Budget:
    try:
        period = Period(rows.text(row, "period"))
    except ValueError as error:
        raise Corrupt(f"a budget in the database is malformed: {error}") from error
    return Budget(account=rows.text(row, "account"), period=period, nanos=rows.number(row, "nanos"))
