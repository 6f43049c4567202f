"""A record that the database cannot take holds up nothing, and is not lost."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from books.test_journal import books, clock, complain, entry, event, fill, lend, reserved
from conftest import Opener
from lockgate.books import quarantine as module
from lockgate.books.journal import Journal
from lockgate.books.keeper import adopt
from lockgate.books.quarantine import FOLDER, Quarantine
from lockgate.books.spool import Record, Spool
from lockgate.domain.audit import verify
from lockgate.errors import Corrupt, LockgateError, StorageFailed
from lockgate.ports import GatewayState

# As programs of other versions wrote them: their checksums are right.
OLD_MONEY = b"S[1]"
OLD_AUDIT = b'A["of another version"]'
NEWER = b"Z[]"
ODD_AUDIT = (
    b"A[1,2,3,4]\n{}",
    b'A["2026-11-21T12:00:00+00:00","a","call"]\n{}',
    b'A["a","never","k","call","s",{}]',
    b'A["a","2026-11-21T12:00:00+00:00","k","call",7,{}]',
)


def run(opener: Opener, work: Callable[[GatewayState], Awaitable[None]]) -> None:
    async def main() -> None:
        async with opener() as store:
            await work(store)

    asyncio.run(main())


def test_what_cannot_be_read_is_set_aside_and_what_is_around_it_is_booked(
    opener: Opener, tmp_path: Path
) -> None:
    said: list[LockgateError] = []

    async def work(store: GatewayState) -> None:
        await lend(store, "r", 100)
        spool = Spool(tmp_path / "r")
        fill(spool, 0, 2)
        spool.append(OLD_AUDIT)
        fill(spool, 2, 2)
        spool.close()

        assert await adopt(tmp_path, store, clock=clock, failed=said.append) == 1

        ids, lent, spent = await books(store)
        assert ids == [f"e{n}" for n in range(4)]
        # No record of money is missing: what was not spent is free again.
        assert lent == spent == 28
        async with store.begin() as unit:
            events, head = await unit.events(), await unit.head()
        verify(events, head)
        (aside,) = [e.entry for e in events if e.entry.action == "spool.quarantine"]
        assert (aside.actor, aside.subject, aside.detail["kind"]) == ("lockgate", "r", "audit")
        assert aside.detail["bytes"] == len(OLD_AUDIT)

    run(opener, work)
    (kept,) = (tmp_path / FOLDER).iterdir()
    assert kept.read_bytes() == OLD_AUDIT
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [error.code for error in said] == ["corrupt"]
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("record", [OLD_MONEY, NEWER])
def test_all_that_was_lent_counts_as_spent_where_a_record_of_money_was_set_aside(
    opener: Opener, tmp_path: Path, record: bytes
) -> None:
    async def work(store: GatewayState) -> None:
        await lend(store, "r", 100)
        spool = Spool(tmp_path / "r")
        fill(spool, 0, 2)
        spool.append(record)
        spool.append(reserved(event(9, 10)))
        spool.close()
        _, before, _ = await books(store)

        assert await adopt(tmp_path, store, clock=clock, failed=lambda _: None) == 1

        ids, lent, spent = await books(store)
        assert ids == ["e0", "e1", "e9"]
        assert lent == spent == before

    run(opener, work)


def test_an_audit_event_that_is_too_large_is_set_aside(
    opener: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 60)

    async def work(store: GatewayState) -> None:
        spool = Spool(tmp_path / "r")
        fill(spool, 0, 1)
        journal = Journal(
            spool,
            store,
            clock=clock,
            quarantine=Quarantine(tmp_path, clock=clock, failed=lambda _: None),
        )
        while await journal.flush():
            pass
        async with store.begin() as unit:
            (only,) = await unit.events()
        assert only.entry.action == "spool.quarantine"
        assert "the most is 60" in str(only.entry.detail["problem"])
        assert (await books(store))[0] == ["e0"]
        spool.close()

    run(opener, work)


def test_audit_events_of_the_first_version_are_still_read(opener: Opener, tmp_path: Path) -> None:
    old = ["a7", "2026-11-21T12:00:00+00:00", "k\ud800", "call", "s", {"n": 1e16, "t": "\u00fc"}]

    async def work(store: GatewayState) -> None:
        spool = Spool(tmp_path / "r")
        spool.append(b"A" + json.dumps(old).encode())
        fill(spool, 0, 1)
        spool.close()
        await adopt(tmp_path, store, clock=clock, failed=complain)
        async with store.begin() as unit:
            events, head = await unit.events(), await unit.head()
        verify(events, head)
        first = events[0].entry
        assert (first.id, first.actor, first.at) == ("a7", "k?", clock())
        assert first.detail == {"n": 1e16, "t": "\u00fc"}

    run(opener, work)


def test_the_same_record_is_set_aside_once(tmp_path: Path) -> None:
    said: list[LockgateError] = []
    quarantine = Quarantine(tmp_path, clock=clock, failed=said.append)
    assert (quarantine.count, quarantine.holds_money("r")) == (0, False)

    first = quarantine.read("r", Record(NEWER, 70))
    assert quarantine.read("r", Record(NEWER, 70)) == first
    assert (quarantine.count, len(said)) == (1, 1)
    quarantine.read("r", Record(OLD_AUDIT, 90))
    assert quarantine.count == 2
    assert quarantine.holds_money("r")
    assert not quarantine.holds_money("other")


@pytest.mark.parametrize("record", ODD_AUDIT)
def test_an_audit_event_of_no_known_shape_is_set_aside(tmp_path: Path, record: bytes) -> None:
    quarantine = Quarantine(tmp_path, clock=clock, failed=lambda _: None)
    quarantine.read("r", Record(record, 70))
    assert quarantine.count == 1


def test_where_nothing_can_be_set_aside_nothing_is_given_up(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("no folder")
    quarantine = Quarantine(tmp_path, clock=clock, failed=complain)
    with pytest.raises(StorageFailed):
        quarantine.read("r", Record(NEWER, 70))


def test_without_a_quarantine_a_record_that_cannot_be_read_stops_the_spool(
    opener: Opener, tmp_path: Path
) -> None:
    async def work(store: GatewayState) -> None:
        spool = Spool(tmp_path / "r")
        spool.append(NEWER)
        with pytest.raises(Corrupt):
            await Journal(spool, store, clock=clock).flush()
        spool.close()

    run(opener, work)
    assert entry(1).id == "a1"
