"""The usage ledger: events are added once and never changed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from lockgate.domain.budget import UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.ports import MOST_DIMENSIONS, UsageTotal
from lockgate.store import rows
from lockgate.store.sql import Connection, Row

_DAY = len("2026-11-21")
_MOMENT = timedelta(microseconds=1)
_PLACE = ("key_id", "team", "task", "route", "model", "release", "flags")
_AMOUNTS = ("input_tokens", "cached_tokens", "output_tokens", "duration_us", "nanos")


class SqlUsage:
    """Implements `ports.UsageLedger` on a Connection."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    async def open_spool(self, replica: str) -> int:
        await self._db.run("open_spool", replica=replica)
        return await self.spool(replica) or 0

    async def spool(self, replica: str) -> int | None:
        for row in await self._db.run("spool", replica=replica):
            return rows.number(row, "position")
        return None

    async def advance(self, replica: str, before: int, after: int) -> bool:
        moved = await self._db.run("advance_spool", replica=replica, before=before, after=after)
        return bool(moved)

    async def close_spool(self, replica: str) -> None:
        await self._db.run("close_spool", replica=replica)

    async def forget_spool(self, replica: str) -> None:
        await self._db.run("forget_spool", replica=replica)

    async def add(self, events: Sequence[UsageEvent]) -> None:
        await self._db.run_many("add_usage", [_row(event) for event in events])

    async def events(self, *, since: datetime, limit: int) -> Sequence[UsageEvent]:
        found = await self._db.run("usage", since=rows.as_time(since), most=limit)
        return [_event(row) for row in found]

    async def page(
        self, *, after: tuple[datetime, str], until: datetime, limit: int
    ) -> Sequence[UsageEvent]:
        found = await self._db.run(
            "usage_page",
            after=rows.as_time(after[0]),
            after_id=after[1],
            until=rows.as_time(until),
            most=limit,
        )
        return [_event(row) for row in found]

    async def totals(
        self, dimensions: Sequence[str], *, since: datetime, until: datetime, limit: int
    ) -> Sequence[UsageTotal]:
        first, second, third = (*dimensions, *[""] * MOST_DIMENSIONS)[:MOST_DIMENSIONS]
        found = await self._db.run(
            "usage_by",
            first=first,
            second=second,
            third=third,
            since=rows.as_time(since),
            until=rows.as_time(until),
            first_day=_day(since),
            last_day=_day(until - _MOMENT),
            most=limit,
        )
        return [
            UsageTotal(
                names=tuple(
                    rows.text(row, column)
                    for column in ("first", "second", "third")[: len(dimensions)]
                ),
                calls=rows.number(row, "calls"),
                counts=_counts(row),
                nanos=rows.number(row, "nanos"),
            )
            for row in found
        ]

    async def roll_up(self, before: datetime, *, limit: int) -> int:
        taken = await self._db.run("take_usage_before", before=rows.as_time(before), most=limit)
        sums: dict[tuple[str, ...], list[int]] = {}
        for row in taken:
            place = (rows.text(row, "at")[:_DAY], *(rows.text(row, name) for name in _PLACE))
            amounts = [1, *(rows.number(row, name) for name in _AMOUNTS)]
            known = sums.get(place)
            sums[place] = (
                amounts if known is None else [*map(sum, zip(known, amounts, strict=True))]
            )
        names = ("day", *_PLACE, "calls", *_AMOUNTS)
        # In one order, so that two replicas cannot wait for each other.
        await self._db.run_many(
            "add_usage_day",
            [dict(zip(names, (*place, *sums[place]), strict=True)) for place in sorted(sums)],
        )
        return len(taken)


def _day(at: datetime) -> str:
    return rows.as_time(at)[:_DAY]


def _row(event: UsageEvent) -> dict[str, str | int | bytes | None]:
    return {
        "id": rows.storable(event.id),
        "at": rows.as_time(event.at),
        "key_id": rows.storable(event.key),
        "team": rows.storable(event.team),
        "task": rows.storable(event.task),
        "route": rows.storable(event.route),
        "model": rows.storable(event.model),
        "release": rows.storable(event.release),
        "input_tokens": event.counts.input_tokens,
        "cached_tokens": event.counts.cached_tokens,
        "output_tokens": event.counts.output_tokens,
        "duration_us": event.counts.duration_us,
        "nanos": event.nanos,
        "flags": rows.as_names(event.flags),
    }


def _event(row: Row) -> UsageEvent:
    flags = rows.names(row, "flags")
    return UsageEvent(
        id=rows.text(row, "id"),
        at=rows.instant(row, "at"),
        key=rows.text(row, "key_id"),
        team=rows.text(row, "team"),
        task=rows.text(row, "task"),
        route=rows.text(row, "route"),
        model=rows.text(row, "model"),
        release=rows.text(row, "release"),
        counts=_counts(row, estimated="estimated" in flags),
        nanos=rows.number(row, "nanos"),
        flags=flags,
    )


def _counts(row: Row, *, estimated: bool = False) -> TokenCounts:
    return TokenCounts(
        input_tokens=rows.number(row, "input_tokens"),
        cached_tokens=rows.number(row, "cached_tokens"),
        output_tokens=rows.number(row, "output_tokens"),
        duration_us=rows.number(row, "duration_us"),
        estimated=estimated,
    )
