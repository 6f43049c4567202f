"""The gateway's books, opened together: spool, budgets, and the thread that keeps them."""

import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lockgate.app.background import Background, Job, OpenState, running
from lockgate.books.budgets import Budgets
from lockgate.books.keeper import Keeper
from lockgate.books.prices import Prices, read_prices
from lockgate.books.records import encode_audited
from lockgate.books.spool import Spool
from lockgate.config.environment import Environment
from lockgate.domain.audit import Entry
from lockgate.domain.digest import JsonObject
from lockgate.errors import LockgateError, NotFound, Unavailable
from lockgate.ports import Clock

SPOOLS: Final = "spool"
MAX_BEHIND_BYTES: Final = 2 << 30


class Books:
    """What the server calls for each request; nothing here waits but `budgets.acquire`.

    Implements `AuditSink` too: entries are in the spool when `note` returns, and in the chain with
    the next batch.
    """

    def __init__(self, budgets: Budgets, spool: Spool, keeper: Keeper, *, clock: Clock) -> None:
        self.budgets = budgets
        self._spool = spool
        self._keeper = keeper
        self._clock = clock

    @property
    def is_ready(self) -> bool:
        """Whether the limits are known: before that every call is refused."""
        return self.budgets.is_loaded

    @property
    def behind_bytes(self) -> int:
        """How much of the spool is not in the database yet."""
        return self._keeper.behind_bytes

    @property
    def set_aside(self) -> int:
        """How many records of this host's spools the database could not take."""
        return self._keeper.quarantine.count

    def refuse_if_full(self) -> None:
        """Refuse a call that there would be no room to record.

        Raises:
            Unavailable: the database has taken nothing for so long that the spool is full.

        """
        if self.behind_bytes > MAX_BEHIND_BYTES:
            raise Unavailable(
                f"{self.behind_bytes} bytes of usage and audit wait for the database, "
                f"the most is {MAX_BEHIND_BYTES}",
                hint="see why it does not answer",
            )

    def note(self, call: str, actor: str, subject: str, detail: JsonObject) -> None:
        """Write the audit entry of one call. Raises StorageFailed if the disk does not take it."""
        self.audit(
            Entry(
                id=call,
                at=self._clock(),
                actor=actor,
                action="call",
                subject=subject,
                detail=detail,
            )
        )

    def audit(self, entry: Entry) -> None:
        """Write an entry for the audit log.

        Raises:
            StorageFailed: the spool cannot be written.

        """
        self._spool.append(encode_audited(entry))

    def audit_all(self, records: Sequence[bytes]) -> None:
        """Write what `encode_audited` made at once: all, or none. Raises as `audit`."""
        self._spool.append_all(records)


@contextmanager
def open_books(
    open_state: OpenState,
    root: Path,
    *,
    clock: Clock,
    failed: Callable[[LockgateError], None],
    jobs: Sequence[Job] = (),
) -> Generator[Books]:
    """Open this replica's books for the length of a block; `jobs` share their thread.

    `root` is the folder of the spools, on a local disk: all replicas of a host may share it, and
    take over what a dead one left there. `failed` is called on that thread.

    Raises:
        StorageFailed: the folder cannot be made or written.

    """
    spool = Spool.create(root, uuid.uuid4().hex)
    budgets = Budgets(spool=spool, clock=clock, stopwatch=time.monotonic)
    keeper = Keeper(spool=spool, budgets=budgets, clock=clock, failed=failed, root=root)
    with running(Background(open_state, [keeper.run, *jobs], failed=failed)):
        yield Books(budgets, spool, keeper, clock=clock)


def spool_root(environment: Environment) -> Path:
    """Return where the spools of this machine's replicas are."""
    return environment.state_dir / SPOOLS


def load_prices(path: Path) -> Prices:
    """Read the price file.

    Raises:
        NotFound: it cannot be read.
        InvalidConfig: it has something that is not a price.

    """
    try:
        return read_prices(path.read_bytes(), f"`{path}`")
    except OSError as error:
        raise NotFound(
            f"the price file `{path}` cannot be read: {error.strerror}",
            hint="`books.prices` in lockgate.toml names it",
        ) from error
