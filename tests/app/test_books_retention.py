"""What the books need no more goes; what they add up to stays."""

import asyncio
from datetime import UTC, datetime, timedelta

from conftest import Opener
from ledgers import refused
from lockgate.app.books_retention import BATCH, books_retention_job, prune
from lockgate.app.spending import usage_by, usage_pages
from lockgate.domain.budget import Bucket, Lease, UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.errors import LockgateError, StorageFailed
from lockgate.ports import GatewayState, UsageTotal

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)


def event(number: int, at: datetime) -> UsageEvent:
    return UsageEvent(
        id=f"e{number:05}",
        at=at,
        key="ci",
        team=("shop", "search")[number % 2],
        task="review",
        model="m",
        counts=TokenCounts(input_tokens=number),
        nanos=number,
    )


async def fill(state: GatewayState, count: int) -> None:
    """Add events, eight a day, that end today."""
    events = [event(n, NOW - timedelta(hours=3 * n)) for n in range(count)]
    async with state.begin() as unit:
        await unit.usage.add(events)
        await unit.budgets.lend(_lease("day:2026-01-01"), limit=10, need=1)
        await unit.budgets.spend(
            "gone", {Bucket("team:shop", "day:2026-01-01"): 10}, expires_at=NOW
        )
        await unit.budgets.lend(_lease("day:2026-11-20"), limit=10, need=1)


def _lease(period: str) -> Lease:
    place = Bucket("team:shop", period)
    return Lease(replica="gone", bucket=place, nanos=10, spent=0, expires_at=NOW)


async def totals(state: GatewayState) -> list[UsageTotal]:
    by = ("team", "day")
    return [*await usage_by(state, by, since=START, until=NOW + timedelta(days=1), limit=9999)]


async def kept(state: GatewayState) -> list[UsageEvent]:
    until = NOW + timedelta(days=1)
    return [e async for page in usage_pages(state, since=START, until=until) for e in page]


def test_old_events_become_sums_of_days_in_batches_and_every_sum_stays(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as state:
            await fill(state, BATCH + 300)
            before = await totals(state)
            rounds = 1
            while await prune(state, NOW, usage_days=30):
                rounds += 1
            assert rounds == 2
            assert await totals(state) == before
            left = await kept(state)
            # 30 whole days, and what there is of today.
            assert min(e.at for e in left) >= datetime(2026, 10, 22, tzinfo=UTC)
            assert len(left) == 30 * 8 + 6
            async with state.begin() as unit:
                periods = [balance.bucket.period for balance in await unit.budgets.balances()]
            assert periods == ["day:2026-11-20"]

    asyncio.run(work())


def test_by_default_every_event_is_kept(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as state:
            await fill(state, 20)
            assert not await prune(state, NOW + timedelta(days=9999), usage_days=None)
            assert len(await kept(state)) == 20

    asyncio.run(work())


def test_the_job_goes_on_after_a_failure_and_ends_when_it_is_told_to(opener: Opener) -> None:
    failures: list[LockgateError] = []

    async def work() -> None:
        stop = asyncio.Event()

        def failed(error: LockgateError) -> None:
            failures.append(error)
            stop.set()

        class Silent:
            def begin(self) -> object:
                raise StorageFailed("the database does not answer")

        await books_retention_job(lambda: NOW, failed, usage_days=1)(
            Silent(),  # type: ignore[arg-type]
            stop,
        )
        async with opener() as state:
            await fill(state, 40)
            stop = asyncio.Event()
            asyncio.get_running_loop().call_later(0.1, stop.set)
            await books_retention_job(lambda: NOW, refused, usage_days=1)(state, stop)
            assert len(await kept(state)) == 14

    asyncio.run(work())
    assert [error.code for error in failures] == ["storage-failed"]
