"""What the gateway needs beside models, opened from the configuration: callers, money, audit."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from lockgate.app.audit_log import retention_job
from lockgate.app.background import Job
from lockgate.app.billing import Billing
from lockgate.app.books import Books, load_prices, open_books, spool_root
from lockgate.app.books_retention import books_retention_job
from lockgate.app.identity import key_fetcher, open_authenticator
from lockgate.app.price_watch import PriceWatch
from lockgate.app.state import open_store
from lockgate.books.prices import no_prices
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.errors import LockgateError
from lockgate.identity.authenticator import Authenticator


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayBooks:
    """All of it lives on one thread beside the server's, with its own database connection."""

    authenticator: Authenticator
    billing: Billing
    books: Books
    """The audit sink, and how far the database is behind."""

    @property
    def is_ready(self) -> bool:
        """Whether keys and limits are known; before that every call is refused."""
        return self.authenticator.is_loaded and self.books.is_ready


@contextmanager
def open_gateway_books(
    loaded: Loaded,
    environment: Environment,
    *,
    failed: Callable[[LockgateError], None],
    more: Sequence[Job] = (),
) -> Generator[GatewayBooks]:
    """Open callers, budgets, prices and the spool for the length of a block.

    Returns before the database has answered. `failed` is called, on the other thread, for each
    failure that is lived through. `more` jobs share the thread.

    Raises:
        InvalidConfig, NotFound: the price file or the issuers of tokens are wrong.
        StorageFailed: the spool cannot be made in the state folder.

    """
    named = loaded.config.books.prices
    path = None if named is None else loaded.resolve(named)
    watch = None if path is None else PriceWatch(path)  # before it is read: no change is missed
    prices = no_prices() if path is None else load_prices(path)
    authenticator, jobs = open_authenticator(
        loaded.config.identity, clock=_now, fetch=key_fetcher(environment), failed=failed
    )
    with open_books(
        lambda: open_store(loaded, environment),
        spool_root(environment),
        clock=_now,
        failed=failed,
        jobs=[
            *jobs,
            retention_job(_now, failed),
            books_retention_job(_now, failed, usage_days=loaded.config.books.usage_retention_days),
            *([] if watch is None else [watch.follow(failed)]),
            *more,
        ],
    ) as books:
        billing = Billing(books.budgets, prices, clock=_now)
        if watch is not None:
            watch.take = billing.take
        yield GatewayBooks(authenticator=authenticator, billing=billing, books=books)


def _now() -> datetime:
    return datetime.now(UTC)
