"""Books that are open and ready, and the ledger that they leave."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from conftest import Opener
from lockgate.app.books import Books, open_books
from lockgate.domain.budget import Budget, UsageEvent
from lockgate.errors import LockgateError
from lockgate.ports import Clock
from waiting import wait_until

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def now() -> datetime:
    return datetime.now(UTC)


def refused(error: LockgateError) -> None:
    """Fail the test: nothing that the books live through is meant to happen."""
    raise AssertionError(error)


@contextmanager
def ready_books(opener: Opener, folder: Path, *, clock: Clock = now) -> Generator[Books]:
    """Open books, and wait until they know the budgets. All is in the ledger at the end."""
    with open_books(opener, folder, clock=clock, failed=refused) as books:
        wait_until(lambda: books.is_ready)
        yield books


async def set_budgets(opener: Opener, *budgets: Budget) -> None:
    async with opener() as store, store.begin() as unit:
        for budget in budgets:
            await unit.budgets.put(budget)


async def ledger(opener: Opener) -> list[UsageEvent]:
    """Return the usage events in the order of their time, then of their ids."""
    async with opener() as store, store.begin() as unit:
        found = await unit.usage.events(since=_LONG_AGO, limit=10**6)
    return sorted(found, key=lambda event: (event.at, event.id))
