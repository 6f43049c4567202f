"""Jobs beside each other on a thread of their own, and how they end."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lockgate.app.background import Background
from lockgate.errors import LockgateError, StorageFailed
from waiting import wait_until


@asynccontextmanager
async def nothing() -> AsyncGenerator[Any]:
    yield None


def test_a_job_that_hangs_does_not_keep_the_others_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lockgate.app.background._LAST_S", 0.01)
    ended = threading.Event()

    async def first(_: Any, stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0.05)  # it takes its time, and gets it
        ended.set()

    async def hangs(_: Any, stop: asyncio.Event) -> None:
        await asyncio.Event().wait()

    background = Background(nothing, [first, hangs], failed=_unexpected)
    background.start()
    assert background.stop(10)
    assert ended.is_set()


def test_where_one_job_fails_all_begin_again_and_none_is_there_twice() -> None:
    running = failures = most = 0
    lock = threading.Lock()

    async def works(_: Any, stop: asyncio.Event) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            await stop.wait()
        finally:
            running -= 1

    async def fails(_: Any, stop: asyncio.Event) -> None:
        await asyncio.sleep(0)
        raise StorageFailed("away")

    def failed(_: LockgateError) -> None:
        nonlocal failures
        failures += 1

    background = Background(nothing, [works, fails], failed=failed)
    background.start()
    wait_until(lambda: failures > 1)
    assert background.stop(10)
    assert (most, running) == (1, 0)


def _unexpected(error: LockgateError) -> None:
    raise AssertionError(error)
