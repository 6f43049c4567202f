import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledgers import refused
from lockgate.app.background import Background
from lockgate.app.gateway_admin import StateBridge
from lockgate.app.kills import kills
from lockgate.errors import NotFound, Overloaded, StorageFailed, Unavailable
from lockgate.ports import GatewayState
from lockgate.store.sqlite import open_sqlite


@contextmanager
def opened(folder: Path, bridge: StateBridge) -> Generator[Background]:
    background = Background(
        lambda: open_sqlite(folder / "lockgate.db"), [bridge.follow], failed=refused, name="admin"
    )
    background.start()
    try:
        while not bridge.is_open:
            threading.Event().wait(0.005)
        yield background
    finally:
        assert background.stop(10)


async def where(_: GatewayState) -> str:
    return threading.current_thread().name


async def stuck(_: GatewayState) -> None:
    await asyncio.Event().wait()


def test_work_is_done_on_the_thread_of_the_database_and_its_answer_comes_back(
    tmp_path: Path,
) -> None:
    bridge = StateBridge()
    with opened(tmp_path, bridge):
        assert asyncio.run(bridge.do(where)) == "admin"
        assert asyncio.run(bridge.do(kills)).kills == ()


def test_what_fails_there_fails_here(tmp_path: Path) -> None:
    async def fail(_: GatewayState) -> None:
        raise NotFound("there is none")

    bridge = StateBridge()
    with opened(tmp_path, bridge), pytest.raises(NotFound, match="there is none"):
        asyncio.run(bridge.do(fail))


def test_before_the_database_has_answered_and_after_its_end_there_is_no_way_to_it(
    tmp_path: Path,
) -> None:
    bridge = StateBridge()
    with pytest.raises(Unavailable, match="has not answered yet"):
        asyncio.run(bridge.do(where))
    with opened(tmp_path, bridge):
        pass
    with pytest.raises(Unavailable):
        asyncio.run(bridge.do(where))


def test_work_that_takes_too_long_is_given_up_and_its_transaction_undone(tmp_path: Path) -> None:
    async def change(state: GatewayState) -> None:
        async with state.begin() as unit:
            await unit.lock_audit()
            await asyncio.Event().wait()

    bridge = StateBridge(timeout_s=0.05)
    with opened(tmp_path, bridge):
        with pytest.raises(StorageFailed, match="did not answer"):
            asyncio.run(bridge.do(change))
        # The lock is free again.
        assert asyncio.run(bridge.do(kills)).kills == ()


def test_there_is_a_bound_to_how_much_is_done_at_once(tmp_path: Path) -> None:
    async def crowd(bridge: StateBridge) -> None:
        waiting = [asyncio.ensure_future(bridge.do(stuck)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="the most is 2"):
            await bridge.do(where)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await bridge.do(where) == "admin"

    bridge = StateBridge(most=2)
    with opened(tmp_path, bridge):
        asyncio.run(crowd(bridge))


def test_the_database_is_not_closed_under_work_that_runs(tmp_path: Path) -> None:
    begun = threading.Event()

    async def slow(state: GatewayState) -> int:
        begun.set()
        await asyncio.sleep(0.1)
        return len((await kills(state)).kills)

    async def work() -> int:
        asking = asyncio.ensure_future(bridge.do(slow))
        await asyncio.to_thread(begun.wait)
        await asyncio.to_thread(background.stop)
        return await asking

    bridge = StateBridge()
    with opened(tmp_path, bridge) as background:
        assert asyncio.run(work()) == 0
