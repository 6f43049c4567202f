"""The keeper of one replica's books, with a disk and a database that fail it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lockgate.books.budgets import Budgets
from lockgate.books.keeper import Keeper, adopt
from lockgate.books.spool import Spool
from lockgate.domain.budget import UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.errors import LockgateError, StorageFailed
from lockgate.ports import GatewayState, GatewayUnit
from lockgate.store.sqlite import open_sqlite

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOBODY = UsageEvent(
    id="e0",
    at=NOON,
    key="k",
    team="shop",
    task="",
    route="chat",
    model="m",
    release="r",
    counts=TokenCounts(input_tokens=1),
    nanos=5,
)


class OddSpool(Spool):
    """On a disk that is full, or fails, when a test says so."""

    full = False
    broken = False
    syncs = 0

    def append(self, content: bytes) -> None:
        if self.full:
            raise StorageFailed("the disk is full")
        super().append(content)

    def sync(self) -> None:
        self.syncs += 1
        if self.broken:
            raise StorageFailed("the disk fails")
        super().sync()


class Desk:
    """A keeper, and what it tells."""

    def __init__(self, root: Path) -> None:
        self.spool = OddSpool(root / "one", segment_bytes=400)
        self.budgets = Budgets(spool=self.spool, clock=lambda: NOON, stopwatch=lambda: 0.0)
        self.failures: list[LockgateError] = []
        self.keeper = Keeper(
            spool=self.spool,
            budgets=self.budgets,
            clock=lambda: NOON,
            failed=self.failures.append,
            root=root,
        )

    def call(self, number: int) -> Callable[[], None]:
        """Begin a call; what is returned ends it."""
        event = NOBODY._replace(id=f"e{number}")
        held = self.budgets.reserve(["team:shop"], event)
        assert held is not None
        return lambda: self.budgets.settle(held, event)


@asynccontextmanager
async def working(desk: Desk, state: GatewayState) -> AsyncGenerator[None]:
    stop = asyncio.Event()
    work = asyncio.create_task(desk.keeper.run(state, stop))
    try:
        await until(lambda: desk.budgets.is_loaded)
        yield
    finally:
        stop.set()
        await work


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  a file and a database have no events
            await asyncio.sleep(0.005)


def run(folder: Path, work: Callable[[Desk, GatewayState], Coroutine[Any, Any, None]]) -> Desk:
    async def main() -> Desk:
        async with open_sqlite(folder / "books.db") as state:
            desk = Desk(folder / "spools")
            await work(desk, state)
            return desk

    return asyncio.run(main())


async def booked(state: GatewayState) -> set[str]:
    async with state.begin() as unit:
        return {event.id for event in await unit.usage.events(since=NOON, limit=1000)}


def test_a_full_disk_does_not_keep_from_the_database_what_is_on_it(tmp_path: Path) -> None:
    """It may be the spool that fills it: then nothing else would ever make room."""

    async def work(desk: Desk, state: GatewayState) -> None:
        async with working(desk, state):
            ends = [desk.call(number) for number in range(3)]
            ends[0]()
            desk.spool.full = True
            ends[1]()
            await until(lambda: bool(desk.failures))
            await until(lambda: desk.keeper.behind_bytes == 0)
            assert await booked(state) == {"e0"}
            desk.spool.full = False
            ends[2]()
        assert await booked(state) == {"e0", "e1", "e2"}

    run(tmp_path, work)


class Hanging:
    """Implements `ports.GatewayState`: another one that answers nothing when a test says so."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state
        self.answers = asyncio.Event()
        self.answers.set()

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[GatewayUnit]:
        await self.answers.wait()
        async with self._state.begin() as unit:
            yield unit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)


def test_what_a_database_that_hangs_does_not_take_outlives_a_power_cut_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.books.keeper._BACK_OFF_S", 0.01)

    async def work(desk: Desk, state: GatewayState) -> None:
        hanging = Hanging(state)
        async with working(desk, hanging):
            hanging.answers.clear()
            desk.call(0)()
            before = desk.spool.syncs
            await until(lambda: desk.spool.syncs > before + 2)
            hanging.answers.set()
        assert await booked(state) == {"e0"}

    assert run(tmp_path, work).failures == []


def test_a_disk_that_cannot_be_synced_does_not_end_the_books(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.books.keeper._BACK_OFF_S", 0.01)

    async def work(desk: Desk, state: GatewayState) -> None:
        hanging = Hanging(state)
        async with working(desk, hanging):
            hanging.answers.clear()
            desk.call(0)()
            desk.spool.broken = True
            await until(lambda: len(desk.failures) > 2)
            hanging.answers.set()
        assert await booked(state) == {"e0"}

    assert {error.message for error in run(tmp_path, work).failures} == {"the disk fails"}


def test_a_database_that_hangs_at_the_end_leaves_the_books_to_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.books.keeper._BACK_OFF_S", 0.01)
    monkeypatch.setattr("lockgate.books.keeper._END_S", 0.05)

    async def work(desk: Desk, state: GatewayState) -> None:
        hanging = Hanging(state)
        async with working(desk, hanging):
            hanging.answers.clear()
            desk.call(0)()
        root = tmp_path / "spools"
        assert await adopt(root, state, clock=lambda: NOON, failed=desk.failures.append) == 1
        assert await booked(state) == {"e0"}

    assert all("stay in the spool" in error.message for error in run(tmp_path, work).failures)
