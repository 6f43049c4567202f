import asyncio
from datetime import UTC, datetime, timedelta

from conftest import Opener
from lockgate.domain.budget import Balance, Bucket, Budget, Lease, Loan, Period
from lockgate.ports import GatewayUnit
from lockgate.store.records import SqlStore

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONTH = Bucket("team:payments", "month:2026-11")


def lease(replica: str, nanos: int, bucket: Bucket = MONTH) -> Lease:
    return Lease(replica=replica, bucket=bucket, nanos=nanos, spent=0, expires_at=NOON)


async def lend(store: SqlStore, replica: str, ask: int, *, limit: int, need: int = 1) -> Loan:
    async with store.begin() as unit:
        return await unit.budgets.lend(lease(replica, ask), limit=limit, need=need)


def test_a_loan_is_an_eighth_of_what_is_left_or_what_was_asked_for_if_that_is_more(
    opener: Opener,
) -> None:
    async def work() -> None:
        async with opener() as store:
            assert await lend(store, "a", 1, limit=800) == Loan(nanos=100, left=700)
            assert await lend(store, "a", 300, limit=800) == Loan(nanos=300, left=400)
            assert await lend(store, "b", 900, limit=800) == Loan(nanos=400, left=0)
            assert await lend(store, "b", 1, limit=800) == Loan(nanos=0, left=0)
            async with store.begin() as unit:
                assert [found.nanos for found in await unit.budgets.leases()] == [400, 400]

    asyncio.run(work())


def test_less_than_what_is_needed_is_not_lent(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            assert await lend(store, "a", 60, limit=100) == Loan(nanos=60, left=40)
            assert await lend(store, "b", 50, limit=100, need=50) == Loan(nanos=0, left=40)
            assert await lend(store, "b", 50, limit=30, need=5) == Loan(nanos=0, left=0)

    asyncio.run(work())


def test_many_who_ask_at_once_never_get_more_than_the_limit_together(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            loans = await asyncio.gather(
                *(lend(store, f"r{n % 4}", 7 + n, limit=1000) for n in range(100))
            )
            assert sum(loan.nanos for loan in loans) == 1000
            async with store.begin() as unit:
                (balance,) = await unit.budgets.balances()
                assert balance == Balance(bucket=MONTH, lent=1000, spent=0)

    asyncio.run(work())


def test_what_is_given_back_can_be_lent_again_and_what_is_spent_cannot(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            await lend(store, "a", 100, limit=100)
            async with store.begin() as unit:
                await unit.budgets.spend("a", {MONTH: 70}, expires_at=NOON)
                assert not await unit.budgets.give_back("a", MONTH, 31)
                assert await unit.budgets.give_back("a", MONTH, 20)
            assert await lend(store, "b", 50, limit=100) == Loan(nanos=20, left=0)
            async with store.begin() as unit:
                await unit.budgets.close("a")
                await unit.budgets.close("b")
                assert await unit.budgets.leases() == []
                balance = Balance(bucket=MONTH, lent=70, spent=70)
                assert await unit.budgets.balances() == [balance]

    asyncio.run(work())


def test_leases_that_are_kept_count_as_spent(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            await lend(store, "a", 100, limit=100)
            async with store.begin() as unit:
                await unit.budgets.spend("a", {MONTH: 70}, expires_at=NOON)
                await unit.budgets.renew("a", NOON + timedelta(minutes=1))
                (held,) = await unit.budgets.leases("a")
                assert held.expires_at == NOON + timedelta(minutes=1)
                await unit.budgets.close("a", keep=True)
                balance = Balance(bucket=MONTH, lent=100, spent=100)
                assert await unit.budgets.balances() == [balance]

    asyncio.run(work())


def test_budgets_are_set_replaced_and_dropped(opener: Opener) -> None:
    def budget(nanos: int) -> Budget:
        return Budget(account="team:payments", period=Period.MONTH, nanos=nanos)

    async def work() -> None:
        async with opener() as store, store.begin() as unit:
            await unit.budgets.put(budget(1))
            await unit.budgets.put(budget(2**62))
            assert await unit.budgets.all() == [budget(2**62)]
            assert await unit.budgets.drop("team:payments", Period.MONTH)
            assert not await unit.budgets.drop("team:payments", Period.MONTH)

    asyncio.run(work())


def test_past_periods_go_once_nothing_is_lent_of_them(opener: Opener) -> None:
    past = Bucket("team:payments", "day:2026-11-01")
    month = Bucket("team:payments", "month:2026-10")
    total = Bucket("team:payments", "total")
    today = Bucket("team:payments", "day:2026-11-21")

    async def lent(unit: GatewayUnit) -> dict[Bucket, tuple[int, int]]:
        return {b.bucket: (b.lent, b.spent) for b in await unit.budgets.balances()}

    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                for place in (past, month, total, today, MONTH):
                    await unit.budgets.lend(lease("a", 80, place), limit=80, need=1)
                await unit.budgets.spend("a", {past: 80, month: 90, today: 80}, expires_at=NOON)
                await unit.budgets.lend(lease("b", 5, past), limit=200, need=5)
            async with store.begin() as unit:
                # The lease of `b` still holds money, so the account of that day stays.
                assert await unit.budgets.prune(NOON, limit=99) == 3
                assert await lent(unit) == {
                    past: (95, 80),
                    total: (80, 0),
                    today: (80, 80),
                    MONTH: (80, 0),
                }
                left = {(one.replica, one.bucket) for one in await unit.budgets.leases()}
                assert left == {("a", total), ("a", today), ("a", MONTH), ("b", past)}
            async with store.begin() as unit:
                await unit.budgets.close("b")
                assert await unit.budgets.prune(NOON, limit=99) == 1
                assert past not in await lent(unit)
                # What comes late for a period that is gone changes nothing that is there.
                await unit.budgets.spend("a", {past: 3}, expires_at=NOON)
                await unit.budgets.close("a")
                assert await lent(unit) == {total: (0, 0), today: (80, 80), MONTH: (0, 0)}

    asyncio.run(work())
