"""From a spool into the database: every record once, in batches, whoever dies in between."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from lockgate.books.quarantine import Quarantine
from lockgate.books.records import (
    UNBOOKED,
    Audited,
    Content,
    Released,
    Reserved,
    Settled,
    common_parts,
    decode,
    encode_settled,
)
from lockgate.books.spool import Record, Spool
from lockgate.domain.budget import Bucket
from lockgate.errors import Corrupt
from lockgate.ports import Clock, GatewayState

BATCH: Final = 1000
LEASE: Final = timedelta(minutes=2)
_CLOSED: Final = -1


class Journal:
    """Takes over one spool. The position in the database says what is in the ledger already.

    Batch and position are one transaction, and the position moves only from where it was: an
    answer that was lost, or another process at the same spool, adds nothing twice.
    """

    def __init__(
        self,
        spool: Spool,
        state: GatewayState,
        *,
        clock: Clock,
        quarantine: Quarantine | None = None,
    ) -> None:
        """Without a quarantine, a record that cannot be taken stops everything behind it."""
        self._spool = spool
        self._state = state
        self._clock = clock
        self._quarantine = quarantine
        self._position: int | None = None
        self.batches = 0
        """How many were taken over."""

    @property
    def behind(self) -> int:
        """How many bytes of the spool are not in the ledger; all that is kept if unknown."""
        known = self._spool.start if self._position is None else self._position
        return self._spool.end - known

    async def open(self) -> bool:
        """Find the position; False if the spool was closed for good.

        Raises:
            StorageFailed: the database does not answer.

        """
        async with self._state.begin() as unit:
            self._position = await unit.usage.open_spool(self._spool.name)
        return self._position != _CLOSED

    async def flush(self) -> int:
        """Take over one batch; return how many records it had, 0 at the end of the spool.

        Raises:
            StorageFailed: the database does not answer. Nothing is lost: try again.
            Corrupt: the spool was damaged, or closed by another process.

        """
        if self._position is None and not await self.open():
            raise Corrupt(f"the spool `{self._spool.name}` was closed by another process")
        assert self._position is not None
        if self._position >= self._spool.end:
            return 0
        records = self._spool.read(self._position, limit=BATCH)
        before, self._position = self._position, None  # unknown until it is committed
        if await self._commit(before, records):
            self._position = records[-1].end
            self.batches += 1
            self._spool.forget(self._position)
        return len(records)

    async def _commit(self, before: int, records: Sequence[Record]) -> bool:
        found = [self._read(each) for each in records if not each.content.startswith(UNBOOKED)]
        settled = [each for each in found if isinstance(each, Settled)]
        audited = [each.entry for each in found if isinstance(each, Audited)]
        name = self._spool.name
        async with self._state.begin() as unit:
            if audited:
                # First, as all writers of the audit log: two locks in two orders would be a knot.
                await unit.lock_audit()
            if not await unit.usage.advance(name, before, records[-1].end):
                return False
            if settled:
                await unit.usage.add([each.event for each in settled])
                expires_at = self._clock() + LEASE
                await unit.budgets.spend(name, _spent(settled), expires_at=expires_at)
            if audited:
                await unit.append_all(audited)
        return True

    async def wind_up(self) -> int:
        """Bring all of the spool to the ledger, end its leases, and return how many calls it lost.

        A call that was reserved and never settled may have been made: it is written as an event
        with the flag `lost`, at the most that it can have cost. Leases go back, but for those of a
        spool that another boot of this machine wrote, whose end may be missing, or of which a
        record was set aside: they count as spent.

        Raises:
            StorageFailed: the database or the disk does not answer; what is done is done.

        """
        if not await self.open():
            return 0
        assert self._position is not None
        # A power cut may have taken the end of what is in the ledger already: what was reserved
        # before it may be settled there, and its leases count as spent.
        cut = self._position > self._spool.end
        lost = [] if cut else _lost(self._spool, self._read)
        for each in lost:
            event = each.event
            flagged = event._replace(flags=event.flags | {"lost"})
            self._spool.append(encode_settled(flagged, common_parts(flagged, each.buckets)))
        while await self.flush():
            pass
        async with self._state.begin() as unit:
            await unit.usage.close_spool(self._spool.name)
            await unit.budgets.close(self._spool.name, keep=cut or not self._is_whole())
        return len(lost)

    def _read(self, record: Record) -> Content:
        if self._quarantine is None:
            return decode(record.content)
        return self._quarantine.read(self._spool.name, record)

    def _is_whole(self) -> bool:
        """Say whether the spool tells all that was spent."""
        doubtful = self._quarantine is not None and self._quarantine.holds_money(self._spool.name)
        return self._spool.same_boot and not doubtful


def _spent(settled: Sequence[Settled]) -> Mapping[Bucket, int]:
    spent: dict[Bucket, int] = {}
    for each in settled:
        for bucket in each.buckets:
            spent[bucket] = spent.get(bucket, 0) + each.event.nanos
    return spent


def _lost(spool: Spool, read: Callable[[Record], Content]) -> Sequence[Reserved]:
    """Return the reservations that nothing followed."""
    found: dict[str, Reserved] = {}
    position = spool.start
    while position < spool.end:
        records = spool.read(position, limit=BATCH)
        position = records[-1].end
        for record in records:
            _follow(found, read(record))
    return list(found.values())


def _follow(found: dict[str, Reserved], content: Content) -> None:
    match content:
        case Reserved():
            found[content.event.id] = content
        case Settled():
            found.pop(content.event.id, None)
        case Released():
            found.pop(content.id, None)
        case Audited():
            pass
