"""Waiting for what another thread or process does, where it offers nothing to wait on."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_STEP_S = 0.005


def wait_until(ready: Callable[[], bool], most_s: float = 10) -> float:
    """Return after how many seconds it was so; fail after `most_s`, a bound and no measure."""
    began = time.monotonic()
    while not ready():
        assert time.monotonic() < began + most_s, "it never became so"
        time.sleep(_STEP_S)
    return time.monotonic() - began


async def until(ready: Callable[[], Awaitable[bool]], most_s: float = 10) -> None:
    """Wait as `wait_until`, for what has to be awaited."""
    end = time.monotonic() + most_s
    while not await ready():
        assert time.monotonic() < end, "it never became so"
        await asyncio.sleep(_STEP_S)
