"""The usage ledger: events are added once and never changed."""

from collections.abc import Sequence
from datetime import datetime

from lockgate.domain.budget import UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.ports import UsageTotal
from lockgate.store import rows
from lockgate.store.sql import Connection, Row


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

    async def add(self, events: Sequence[UsageEvent]) -> None:
        await self._db.run_many("add_usage", [_row(event) for event in events])

    async def events(self, *, since: datetime, limit: int) -> Sequence[UsageEvent]:
        found = await self._db.run("usage", since=rows.as_time(since), most=limit)
        return [_event(row) for row in found]

    async def totals(
        self, dimension: str, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[UsageTotal]:
        found = await self._db.run(
            "usage_by",
            dimension=dimension,
            since=rows.as_time(since),
            until=rows.as_time(until),
            most=limit,
        )
        return [
            UsageTotal(
                name=rows.text(row, "name"),
                calls=rows.number(row, "calls"),
                counts=_counts(row),
                nanos=rows.number(row, "nanos"),
            )
            for row in found
        ]


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
