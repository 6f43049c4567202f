import asyncio
from datetime import UTC, datetime, timedelta

from conftest import Opener
from lockgate.domain.budget import UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.ports import UsageTotal
from lockgate.store.records import SqlStore

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
        event("b", 7)._replace(model="other"),
        event("c", 9)._replace(team="search"),
        event("d", 1000)._replace(at=NOON + timedelta(days=1)),
    ]

    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.usage.add(events)
            async with store.begin() as unit:
                until = NOON + timedelta(hours=1)
                found = await unit.usage.totals(("team",), since=NOON, until=until, limit=9)
                counts = TokenCounts(input_tokens=9, cached_tokens=4, output_tokens=2)
                assert found == [
                    UsageTotal(names=("payments",), calls=2, counts=counts + counts, nanos=12),
                    UsageTotal(names=("search",), calls=1, counts=counts, nanos=9),
                ]
                for dimension, names in {
                    "key": ["ci"],
                    "task": ["review"],
                    "model": ["smollm2", "other"],
                    "route": [""],
                    "release": [""],
                    "day": ["2026-11-21"],
                }.items():
                    found = await unit.usage.totals((dimension,), since=NOON, until=until, limit=9)
                    assert [total.names for total in found] == [(name,) for name in names]

    asyncio.run(work())


def test_usage_is_summed_by_several_things_at_once(opener: Opener) -> None:
    events = [
        event("a", 5),
        event("b", 7)._replace(model="other"),
        event("c", 9)._replace(at=NOON + timedelta(days=1)),
    ]

    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.usage.add(events)
            async with store.begin() as unit:
                found = await unit.usage.totals(
                    ("day", "team", "model"), since=NOON, until=NOON + timedelta(days=2), limit=9
                )
            assert [(total.names, total.nanos) for total in found] == [
                (("2026-11-22", "payments", "smollm2"), 9),
                (("2026-11-21", "payments", "other"), 7),
                (("2026-11-21", "payments", "smollm2"), 5),
            ]

    asyncio.run(work())


def test_pages_hold_every_event_of_a_span_once_in_order(opener: Opener) -> None:
    # Several at one moment, so that a page can end among them.
    events = [event(f"{n:02}")._replace(at=NOON + timedelta(hours=n // 4)) for n in range(17)]

    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.usage.add(events)
            found: list[UsageEvent] = []
            after = (NOON, "")
            while True:
                async with store.begin() as unit:
                    page = await unit.usage.page(
                        after=after, until=NOON + timedelta(hours=4), limit=3
                    )
                if not page:
                    break
                found += page
                after = (page[-1].at, page[-1].id)
            assert found == events[:16]

    asyncio.run(work())


def test_events_that_are_rolled_up_change_no_sum(opener: Opener) -> None:
    start = NOON.replace(hour=0)
    events = [
        event(f"e{n:03}", n)._replace(
            at=start + timedelta(hours=n),
            team=("payments", "search")[n % 2],
            release=f"r{n % 3}",
            flags=frozenset({"estimated"} if n % 5 else ()),
        )
        for n in range(24 * 4)
    ]
    ways = [("team",), ("day",), ("release", "team", "day"), ("key", "model")]

    async def sums(store: SqlStore) -> list[object]:
        async with store.begin() as unit:
            return [
                await unit.usage.totals(
                    way, since=start, until=start + timedelta(days=9), limit=999
                )
                for way in ways
            ]

    async def work() -> None:
        async with opener() as store:
            async with store.begin() as unit:
                await unit.usage.add(events)
            before = await sums(store)
            gone = 0
            while True:
                async with store.begin() as unit:
                    count = await unit.usage.roll_up(start + timedelta(days=2), limit=7)
                gone += count
                assert await sums(store) == before
                if not count:
                    break
            assert gone == 48
            late = event("late", 1000)._replace(at=start)
            async with store.begin() as unit:
                await unit.usage.add([late])
            with_late = await sums(store)
            async with store.begin() as unit:
                assert await unit.usage.roll_up(start + timedelta(days=2), limit=7) == 1
            assert await sums(store) == with_late
            async with store.begin() as unit:
                left = await unit.usage.events(since=start, limit=999)
                assert len(left) == 48
                day = await unit.usage.totals(
                    (), since=start, until=start + timedelta(days=1), limit=9
                )
                assert [(total.calls, total.nanos) for total in day] == [(25, 1000 + 276)]
                next_day = await unit.usage.totals(
                    (),
                    since=start + timedelta(days=1),
                    until=start + timedelta(days=2),
                    limit=9,
                )
                assert [total.calls for total in next_day] == [24]

    asyncio.run(work())


def test_two_who_roll_up_at_once_count_nothing_twice(opener: Opener) -> None:
    events = [event(f"e{n:03}", 1) for n in range(60)]

    async def roll(store: SqlStore) -> None:
        while True:
            async with store.begin() as unit:
                if not await unit.usage.roll_up(NOON + timedelta(days=1), limit=7):
                    return

    async def work() -> None:
        async with opener() as store, opener() as other:
            async with store.begin() as unit:
                await unit.usage.add(events)
            await asyncio.gather(roll(store), roll(other), roll(store))
            async with store.begin() as unit:
                (total,) = await unit.usage.totals(
                    ("team",), since=NOON, until=NOON + timedelta(days=1), limit=9
                )
            assert (total.calls, total.nanos) == (60, 60)

    asyncio.run(work())


def test_only_a_closed_spool_is_forgotten(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store, store.begin() as unit:
            await unit.usage.open_spool("r")
            await unit.usage.forget_spool("r")
            assert await unit.usage.spool("r") == 0
            await unit.usage.close_spool("r")
            await unit.usage.forget_spool("r")
            assert await unit.usage.spool("r") is None

    asyncio.run(work())
