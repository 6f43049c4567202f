import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import Opener
from lockgate.books.journal import Journal
from lockgate.books.keeper import adopt
from lockgate.books.records import (
    common_parts,
    decode,
    encode_audited,
    encode_released,
    encode_reserved,
    encode_settled,
)
from lockgate.books.spool import Spool
from lockgate.domain.audit import Entry, verify
from lockgate.domain.audit_export import MAX_EVENT_BYTES
from lockgate.domain.budget import Bucket, Lease, UsageEvent
from lockgate.domain.digest import JsonObject
from lockgate.domain.money import TokenCounts
from lockgate.errors import Corrupt, LockgateError, StorageFailed
from lockgate.ports import GatewayState, GatewayUnit

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MONTH = Bucket("team:shop", "month:2026-11")


def clock() -> datetime:
    return NOON


def complain(error: LockgateError) -> None:
    raise error


def event(number: int, nanos: int = 10) -> UsageEvent:
    return UsageEvent(
        id=f"e{number}",
        at=NOON,
        key="k\0",
        team="shop",
        task="review",
        route="/v1",
        model="m\ud800",
        release="r",
        counts=TokenCounts(input_tokens=3, output_tokens=2, duration_us=9),
        nanos=nanos,
    )


def entry(number: int) -> Entry:
    detail: JsonObject = {"n": number, "text": "ü\0", "more": [1.5, None, {"deep": True}]}
    return Entry(id=f"a{number}", at=NOON, actor="k", action="call", subject="s", detail=detail)


def reserved(one: UsageEvent) -> bytes:
    return encode_reserved(one, common_parts(one, [MONTH]))


def settled(one: UsageEvent) -> bytes:
    return encode_settled(one, common_parts(one, [MONTH]))


def fill(spool: Spool, first: int, count: int) -> None:
    for n in range(first, first + count):
        spool.append(reserved(event(n, 10)))
        spool.append(settled(event(n, 7)))
        spool.append(encode_audited(entry(n)))


async def lend(state: GatewayState, replica: str, nanos: int) -> None:
    lease = Lease(replica=replica, bucket=MONTH, nanos=nanos, spent=0, expires_at=NOON)
    async with state.begin() as unit:
        assert (await unit.budgets.lend(lease, limit=10**6, need=nanos)).nanos >= nanos


async def books(state: GatewayState) -> tuple[list[str], int, int]:
    """The ids in the ledger, what is lent, and what is spent."""
    async with state.begin() as unit:
        events = await unit.usage.events(since=NOON, limit=10**6)
        balances = await unit.budgets.balances()
    lent, spent = sum(b.lent for b in balances), sum(b.spent for b in balances)
    return sorted(e.id for e in events), lent, spent


def left(root: Path) -> list[Path]:
    return list(root.glob("r*"))


class Flaky:
    """A state whose every second transaction fails after it was committed: the answer is lost."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self._count = 0

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[GatewayUnit]:
        async with self._state.begin() as unit:
            yield unit
        self._count += 1
        if self._count % 2:
            raise StorageFailed("the answer was lost")

    async def read(self, name: str) -> str | None:
        return await self._state.read(name)

    async def change(self, name: str, change: Callable[[str | None], str]) -> None:
        await self._state.change(name, change)


async def persist(work: Callable[[], object]) -> None:
    """Try until it works, as the keeper does."""
    for _ in range(100):
        try:
            while await work():  # type: ignore[misc]
                pass
        except StorageFailed:
            continue
        return
    pytest.fail("it never worked")


def test_every_record_gets_into_the_ledger_once_though_answers_are_lost(
    opener: Opener, tmp_path: Path
) -> None:
    async def work() -> None:
        async with opener() as store:
            spool = Spool(tmp_path / "r")
            journal = Journal(spool, Flaky(store), clock=clock)
            await lend(store, "r", 10_000)
            for first in range(0, 1000, 250):
                fill(spool, first, 250)
                await persist(journal.flush)
            ids, _, spent = await books(store)
            assert ids == sorted(f"e{n}" for n in range(1000))
            assert spent == 7000
            async with store.begin() as unit:
                chain = await unit.events(limit=9999)
                assert verify(chain, await unit.head()) == 1000
                assert [e.entry for e in chain] == [entry(n) for n in range(1000)]
            spool.close()

    asyncio.run(work())


def test_two_who_saw_the_same_position_add_the_records_once(opener: Opener, tmp_path: Path) -> None:
    async def work() -> None:
        async with opener() as store:
            spool = Spool(tmp_path / "r")
            one, other = (Journal(spool, store, clock=clock) for _ in range(2))
            await lend(store, "r", 1000)
            assert await one.open()
            assert await other.open()
            fill(spool, 0, 10)
            await one.flush()
            await other.flush()
            assert await other.flush() == 0
            ids, _, spent = await books(store)
            assert (len(ids), spent) == (10, 70)
            async with store.begin() as unit:
                assert len(await unit.events()) == 10
            spool.close()

    asyncio.run(work())


def test_a_dead_replica_is_taken_over_and_its_unspent_money_returns(
    opener: Opener, tmp_path: Path
) -> None:
    async def work() -> None:
        async with opener() as store:
            spool = Spool(tmp_path / "r")
            await lend(store, "r", 200_000)
            fill(spool, 0, 3)
            await Journal(spool, store, clock=clock).flush()
            fill(spool, 3, 2)
            spool.append(reserved(event(5, 100)))
            spool.append(reserved(event(6, 100)))
            spool.append(encode_released("e6"))
            assert await adopt(tmp_path, store, clock=clock, failed=complain) == 0
            spool.close()

            assert await adopt(tmp_path, store, clock=clock, failed=complain) == 1
            ids, lent, spent = await books(store)
            assert ids == [f"e{n}" for n in range(6)]
            assert (lent, spent) == (5 * 7 + 100, 5 * 7 + 100)
            async with store.begin() as unit:
                lost = [
                    e for e in await unit.usage.events(since=NOON, limit=99) if "lost" in e.flags
                ]
                assert [(e.id, e.nanos) for e in lost] == [("e5", 100)]
                assert await unit.budgets.leases() == []
            assert left(tmp_path) == []

    asyncio.run(work())


def test_taking_over_can_be_broken_off_anywhere_and_begun_again(
    opener: Opener, tmp_path: Path
) -> None:
    async def work() -> None:
        async with opener() as store:
            await lend(store, "r", 200_000)
            spool = Spool(tmp_path / "r")
            fill(spool, 0, 20)
            spool.append(reserved(event(20, 100)))
            spool.close()
            flaky, tries = Flaky(store), 0
            while left(tmp_path):
                tries += 1
                try:
                    await adopt(tmp_path, flaky, clock=clock, failed=complain)
                except StorageFailed:
                    assert tries < 50
            assert tries > 1
            ids, lent, spent = await books(store)
            assert ids == sorted(f"e{n}" for n in range(21))
            assert (lent, spent) == (20 * 7 + 100, 20 * 7 + 100)

    asyncio.run(work())


def test_the_money_of_a_spool_from_another_boot_counts_as_spent(
    opener: Opener, tmp_path: Path
) -> None:
    async def work() -> None:
        async with opener() as store:
            await lend(store, "r", 200_000)
            spool = Spool(tmp_path / "r")
            fill(spool, 0, 2)
            spool.close()
            (tmp_path / "r" / "boot").write_text("another")

            assert await adopt(tmp_path, store, clock=clock, failed=complain) == 1
            ids, lent, spent = await books(store)
            assert ids == ["e0", "e1"]
            assert lent == spent >= 200_000

    asyncio.run(work())


def test_a_power_cut_that_takes_what_the_ledger_has_already_adds_nothing_and_frees_nothing(
    opener: Opener, tmp_path: Path
) -> None:
    async def work() -> None:
        async with opener() as store:
            await lend(store, "r", 1000)
            spool = Spool(tmp_path / "r")
            spool.append(reserved(event(0, 10)))
            kept = spool.end
            spool.append(settled(event(0, 7)))
            await Journal(spool, store, clock=clock).flush()
            spool.close()
            (file,) = (tmp_path / "r").glob("*.spool")
            os.truncate(file, kept)
            (tmp_path / "r" / "boot").write_text("another")

            assert await adopt(tmp_path, store, clock=clock, failed=complain) == 1
            ids, lent, spent = await books(store)
            assert ids == ["e0"]
            assert lent == spent >= 1000
            assert left(tmp_path) == []

    asyncio.run(work())


def test_a_damaged_spool_is_kept_and_its_money_stays_lent(opener: Opener, tmp_path: Path) -> None:
    async def work() -> None:
        async with opener() as store:
            await lend(store, "r", 200_000)
            spool = Spool(tmp_path / "r")
            fill(spool, 0, 5)
            spool.close()
            (path,) = (tmp_path / "r").glob("*.spool")
            data = bytearray(path.read_bytes())
            data[60] ^= 1
            path.write_bytes(data)
            failures: list[LockgateError] = []

            assert await adopt(tmp_path, store, clock=clock, failed=failures.append) == 0
            assert [error.code for error in failures] == ["corrupt"]
            assert path.read_bytes() == data
            assert (await books(store))[1] >= 200_000

    asyncio.run(work())


def test_an_entry_that_has_no_canonical_form_holds_up_nothing(
    opener: Opener, tmp_path: Path
) -> None:
    odd: JsonObject = {"\ud800": "\udfff", "big": 2**60, "no": float("nan"), "list": [float("inf")]}

    async def work() -> None:
        async with opener() as store:
            spool = Spool(tmp_path / "r")
            spool.append(encode_audited(entry(1)._replace(actor="\ud800", detail=odd)))
            spool.append(encode_audited(entry(2)))
            assert await Journal(spool, store, clock=clock).flush() == 2
            async with store.begin() as unit:
                first, second = await unit.events()
            expected = {"?": "?", "big": str(2**60), "no": "nan", "list": ["inf"]}
            assert (first.entry.actor, first.entry.detail) == ("?", expected)
            assert second.entry == entry(2)
            spool.close()

    asyncio.run(work())


def test_an_entry_that_is_too_large_is_refused_before_it_is_in_the_spool() -> None:
    with pytest.raises(StorageFailed, match="the most is"):
        encode_audited(entry(1)._replace(subject="x" * MAX_EVENT_BYTES))


def test_a_record_of_an_unknown_kind_is_damage() -> None:
    for content in (b"", b"Z[]", b"S[1]", b"S", b"X[]", b"A[1,2]", b"R{}", b"S" + b"[" * 10**5):
        with pytest.raises(Corrupt):
            decode(content)
