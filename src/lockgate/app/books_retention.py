"""The end of what the books need no more: events become sums, past periods go."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from lockgate.app.background import Job, until
from lockgate.errors import LockgateError
from lockgate.ports import Clock, GatewayState

EVERY_S: Final = 60.0
BATCH: Final = 1000
_PAST: Final = timedelta(days=35)
"""After the end of a day or a month, its balances stay so long: somebody may ask for them."""


def books_retention_job(
    clock: Clock, failed: Callable[[LockgateError], None], *, usage_days: int | None
) -> Job:
    """Return the job that prunes; `usage_days` None: usage events stay."""

    async def work(state: GatewayState, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                more = await prune(state, clock(), usage_days=usage_days)
            except LockgateError as error:
                failed(error)
                more = False
            await until(stop, 0 if more else EVERY_S)

    return work


async def prune(state: GatewayState, now: datetime, *, usage_days: int | None) -> bool:
    """Prune one batch of each kind; say whether there is more. What is summed stays the same."""
    async with state.begin() as unit:
        more = await unit.budgets.prune(now - _PAST, limit=BATCH) >= BATCH
    if usage_days is None:
        return more
    # Whole days, so that no day is half events and half sum.
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    async with state.begin() as unit:
        gone = await unit.usage.roll_up(today - timedelta(days=usage_days), limit=BATCH)
    return more or gone == BATCH
