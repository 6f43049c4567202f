"""Calls of tasks that are made once, whoever is asked for them."""

from datetime import datetime

from lockgate.ports import KeptCall
from lockgate.store import rows
from lockgate.store.sql import Connection


class SqlCalls:
    """Implements `ports.CallBook` on a Connection."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    async def claim(self, call: KeptCall, now: datetime) -> bool:
        claimed = await self._db.run(
            "claim_call",
            id=call.id,
            owner=call.owner,
            task=call.task,
            digest=call.digest,
            holder=call.holder,
            until=rows.as_time(call.until),
            now=rows.as_time(now),
        )
        return bool(claimed)

    async def find(self, name: str) -> KeptCall | None:
        for row in await self._db.run("find_call", id=name):
            answer, failure = row["answer"], row["failure"]
            return KeptCall(
                id=name,
                owner=rows.text(row, "owner"),
                task=rows.text(row, "task"),
                digest=rows.text(row, "digest"),
                holder=rows.text(row, "holder"),
                until=rows.instant(row, "until"),
                answer=None if answer is None else rows.text(row, "answer"),
                failure=None if failure is None else rows.text(row, "failure"),
            )
        return None

    async def keep(self, call: KeptCall) -> bool:
        kept = await self._db.run(
            "keep_call",
            id=call.id,
            holder=call.holder,
            answer=call.answer,
            failure=call.failure,
            until=rows.as_time(call.until),
        )
        return bool(kept)

    async def give_up(self, call: KeptCall) -> None:
        await self._db.run("give_up_call", id=call.id, holder=call.holder)

    async def drop_expired(self, now: datetime, *, lost: datetime, limit: int) -> int:
        gone = await self._db.run(
            "drop_expired_calls", now=rows.as_time(now), lost=rows.as_time(lost), most=limit
        )
        return len(gone)
