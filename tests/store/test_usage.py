import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from conftest import Opener
from lockgate.domain.budget import UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.ports import UsageTotal

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def event(name: str, nanos: int = 5) -> UsageEvent:
    return UsageEvent(
        id=name,
        at=NOON,
        key="ci",
        team="payments",
        task="review",
        model="smollm2",
        counts=TokenCounts(input_tokens=9, cached_tokens=4, output_tokens=2, estimated=True),
        nanos=nanos,
        flags=frozenset({"estimated"}),
    )


def test_an_event_is_in_the_ledger_once_and_as_it_first_was(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            for nanos in (5, 6):
                async with store.begin() as unit:
                    await unit.usage.add([event("a", nanos), event("b", nanos)])
            async with store.begin() as unit:
                found = await unit.usage.events(since=NOON, limit=9)
                assert found == [event("a"), event("b")]

    asyncio.run(work())


def test_a_position_is_moved_by_one_of_two_who_saw_the_same(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                assert await unit.usage.open_spool("r") == 0
            async with store.begin() as unit:
                assert await unit.usage.advance("r", 0, 70)
                assert not await unit.usage.advance("r", 0, 90)
            async with store.begin() as unit:
                assert await unit.usage.open_spool("r") == 70
                await unit.usage.close_spool("r")
                assert await unit.usage.open_spool("r") == -1
                assert await unit.usage.spool("r") == -1
                assert await unit.usage.spool("s") is None

    asyncio.run(work())


def test_usage_is_summed_by_what_was_asked_for_within_the_time(opener: Opener) -> None:
    events = [
        event("a", 5),
        replace(event("b", 7), model="other"),
        replace(event("c", 9), team="search"),
        replace(event("d", 1000), at=NOON + timedelta(days=1)),
    ]

    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.usage.add(events)
            async with store.begin() as unit:
                until = NOON + timedelta(hours=1)
                found = await unit.usage.totals("team", since=NOON, until=until, limit=9)
                counts = TokenCounts(input_tokens=9, cached_tokens=4, output_tokens=2)
                assert found == [
                    UsageTotal(name="payments", calls=2, counts=counts + counts, nanos=12),
                    UsageTotal(name="search", calls=1, counts=counts, nanos=9),
                ]
                for dimension, names in {
                    "key": ["ci"],
                    "task": ["review"],
                    "model": ["smollm2", "other"],
                    "route": [""],
                }.items():
                    found = await unit.usage.totals(dimension, since=NOON, until=until, limit=9)
                    assert [total.name for total in found] == names

    asyncio.run(work())
