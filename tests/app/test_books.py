import asyncio
import time
import uuid
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from conftest import Opener
from ledgers import now, refused
from lockgate.app.books import Books, open_books
from lockgate.domain.audit import Entry, verify
from lockgate.domain.budget import Budget, Period, UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.errors import LockgateError, OverBudget, StorageFailed, Unavailable
from lockgate.store.postgres import open_postgres
from lockgate.store.records import SqlStore
from waiting import wait_until

ACCOUNTS = ("team:shop",)


def event(nanos: int) -> UsageEvent:
    return UsageEvent(
        id=uuid.uuid4().hex,
        at=now(),
        key="k",
        team="shop",
        model="m",
        counts=TokenCounts(output_tokens=nanos),
        nanos=nanos,
    )


def set_limit(opener: Opener, nanos: int) -> None:
    async def work() -> None:
        async with opener() as store, store.begin() as unit:
            await unit.budgets.put(Budget(account=ACCOUNTS[0], period=Period.TOTAL, nanos=nanos))

    asyncio.run(work())


def ledger(opener: Opener) -> tuple[set[str], int, int, int]:
    """The ids in the ledger, what they cost, what is lent, and how many leases are open."""

    async def work() -> tuple[set[str], int, int, int]:
        async with opener() as store, store.begin() as unit:
            since = datetime(2020, 1, 1, tzinfo=UTC)
            events = await unit.usage.events(since=since, limit=10**6)
            balances = await unit.budgets.balances()
            leases = await unit.budgets.leases()
        assert len({e.id for e in events}) == len(events)
        total = sum(e.nanos for e in events)
        return {e.id for e in events}, total, sum(b.lent for b in balances), len(leases)

    return asyncio.run(work())


def call(books: Books, nanos: int) -> str | None:
    """Make a call that costs `nanos`; None if no budget lets it."""
    worst = event(nanos)
    try:
        held = asyncio.run(books.budgets.acquire(ACCOUNTS, worst))
    except OverBudget:
        return None
    books.budgets.settle(held, worst)
    return worst.id


def test_replicas_share_one_budget_and_leave_nothing_lent(opener: Opener, tmp_path: Path) -> None:
    set_limit(opener, 1000)
    with (
        open_books(opener, tmp_path / "a", clock=now, failed=refused) as one,
        open_books(opener, tmp_path / "b", clock=now, failed=refused) as other,
    ):
        wait_until(lambda: one.budgets.is_loaded and other.budgets.is_loaded)
        made = [call(books, 7) for _ in range(100) for books in (one, other)]
        (folder,) = (tmp_path / "a").iterdir()
    done = {name for name in made if name}

    ids, spent, lent, leases = ledger(opener)
    assert ids == done
    assert 900 < spent <= 1000
    assert (lent, leases) == (spent, 0)
    assert list((tmp_path / "a").iterdir()) == []

    async def position() -> int | None:
        async with opener() as store, store.begin() as unit:
            return await unit.usage.spool(folder.name)

    assert asyncio.run(position()) is None


def test_a_limit_that_is_set_or_raised_counts_soon(opener: Opener, tmp_path: Path) -> None:
    set_limit(opener, 10)
    with open_books(opener, tmp_path, clock=now, failed=refused) as books:
        wait_until(lambda: books.budgets.is_loaded)
        assert call(books, 10)
        assert not call(books, 1)
        set_limit(opener, 20)
        wait_until(lambda: call(books, 10) is not None, 2)
        set_limit(opener, 5)
        wait_until(lambda: call(books, 1) is None, 2)
    assert ledger(opener)[1] >= 20


def test_audit_entries_are_chained_in_order_with_the_others(opener: Opener, tmp_path: Path) -> None:
    def entry(n: int) -> Entry:
        return Entry(id=f"c{n}", at=now(), actor="a", action="call", subject="s", detail={"n": n})

    with open_books(opener, tmp_path, clock=now, failed=refused) as books:
        for n in range(500):
            books.audit(entry(n))

    async def work() -> None:
        async with opener() as store, store.begin() as unit:
            events = await unit.events(limit=9999)
            assert verify(events, await unit.head()) == 500
            assert [e.entry.id for e in events] == [f"c{n}" for n in range(500)]

    asyncio.run(work())


class Outage:
    """A database of its own on the test's server, which can be made to refuse everybody."""

    def __init__(self, dsn: str) -> None:
        self._admin = dsn
        self._name = f"t{uuid.uuid4().hex}"
        self._do(f'CREATE DATABASE "{self._name}"')
        self.dsn = dsn.replace("/postgres", f"/{self._name}")

    def begin(self) -> None:
        self._do(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS false')
        self._do(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'"
        )

    def end(self) -> None:
        self._do(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS true')

    def open(self) -> AbstractAsyncContextManager[SqlStore]:
        return open_postgres(self.dsn)

    def drop(self) -> None:
        self._do(f'DROP DATABASE "{self._name}" WITH (FORCE)')

    def _do(self, statement: str) -> None:
        with psycopg.connect(self._admin, autocommit=True) as admin:
            admin.execute(statement.encode())


@pytest.fixture
def outage(postgres_admin_dsn: str) -> Generator[Outage]:
    made = Outage(postgres_admin_dsn)
    yield made
    made.drop()


def test_calls_go_on_while_the_database_is_away_and_all_usage_is_recovered(
    outage: Outage, tmp_path: Path
) -> None:
    set_limit(outage.open, 1_000_000)
    failures: list[LockgateError] = []
    with open_books(outage.open, tmp_path, clock=now, failed=failures.append) as books:
        wait_until(lambda: books.budgets.is_loaded)
        done = {call(books, 10)}
        outage.begin()
        until = time.monotonic() + 2
        while time.monotonic() < until:
            done.add(call(books, 10))
            time.sleep(0.001)
        too_much = event(500_000)  # is not at hand, and nobody can be asked
        with pytest.raises(StorageFailed):
            asyncio.run(books.budgets.acquire(ACCOUNTS, too_much))
        outage.end()
        wait_until(lambda: too_much_fits(books, event(500_000)), 15)

    ids, spent, lent, leases = ledger(outage.open)
    assert None not in done
    assert len(done) > 500
    assert ids == done
    assert (spent, lent, leases) == (10 * len(done), 10 * len(done), 0)
    # A short outage may pass while a connection is waited for: then nothing has failed.
    assert {error.code for error in failures} <= {"storage-failed"}


def too_much_fits(books: Books, worst: UsageEvent) -> bool:
    try:
        held = asyncio.run(books.budgets.acquire(ACCOUNTS, worst))
    except StorageFailed:
        return False
    books.budgets.release(held)
    return True


def test_a_replica_that_starts_without_its_database_refuses_until_it_is_there(
    outage: Outage, tmp_path: Path
) -> None:
    set_limit(outage.open, 100)
    outage.begin()
    failures: list[Any] = []
    with open_books(outage.open, tmp_path, clock=now, failed=failures.append) as books:
        wait_until(lambda: bool(failures))
        with pytest.raises(Unavailable):
            call(books, 1)
        outage.end()
        wait_until(lambda: books.budgets.is_loaded)
        assert call(books, 1)


def test_a_replica_that_ends_without_its_database_leaves_its_books_to_the_next(
    outage: Outage, tmp_path: Path
) -> None:
    set_limit(outage.open, 1000)
    with open_books(outage.open, tmp_path, clock=now, failed=lambda _: None) as books:
        wait_until(lambda: books.budgets.is_loaded)
        done = {call(books, 10)}
        outage.begin()
        done |= {call(books, 10) for _ in range(5)}
    outage.end()
    with open_books(outage.open, tmp_path, clock=now, failed=refused) as books:
        wait_until(lambda: books.budgets.is_loaded)

    ids, spent, lent, leases = ledger(outage.open)
    assert ids == done
    assert (spent, lent, leases) == (60, 60, 0)
    assert list(tmp_path.iterdir()) == []
