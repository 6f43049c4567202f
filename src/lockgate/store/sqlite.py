"""The SQLite driver: one connection, one writer at a time.

Calls are short and made on the caller's thread: handing each to a worker costs more than it takes.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from lockgate.errors import Corrupt, LockgateError, StorageFailed
from lockgate.store.records import SqlStore
from lockgate.store.sql import Row, Value, migrations, queries, refuse_newer, statements

BUSY_TIMEOUT_S = 30.0
_VERSION_TABLE = "CREATE TABLE IF NOT EXISTS schema_version (name TEXT PRIMARY KEY)"


class SqliteConnection:
    """A transaction on the shared connection."""

    def __init__(self, raw: sqlite3.Connection, texts: dict[str, str]) -> None:
        self._raw = raw
        self._texts = texts

    async def run(self, query: str, **params: Value) -> Sequence[Row]:
        """See `Connection.run`."""
        return [dict(row) for row in self._raw.execute(self._texts[query], params)]

    async def lock(self, name: str) -> None:
        """Nothing to do: BEGIN IMMEDIATE already holds the whole database."""


class SqliteDriver:
    """For one host: laptop, CI job, sidecar."""

    def __init__(self, raw: sqlite3.Connection, path: Path) -> None:
        self._raw = raw
        self._path = path
        self._turn = asyncio.Lock()
        self._texts = queries()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[SqliteConnection]:
        """See `Driver.transaction`."""
        async with self._turn:
            with _translated(self._path):
                self._raw.execute("BEGIN IMMEDIATE")
                try:
                    yield SqliteConnection(self._raw, self._texts)
                except BaseException:
                    if self._raw.in_transaction:  # a full disk has rolled back already
                        self._raw.execute("ROLLBACK")
                    raise
                self._raw.execute("COMMIT")

    def migrate(self) -> None:
        """Bring the database to this program's schema; several processes may try at once."""
        known = migrations()
        try:
            done = {row["name"] for row in self._raw.execute("SELECT name FROM schema_version")}
        except sqlite3.OperationalError:
            done = set()
        if done == known.keys():
            return
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            self._raw.execute(_VERSION_TABLE)
            done = {row["name"] for row in self._raw.execute("SELECT name FROM schema_version")}
            refuse_newer(str(self._path), done - known.keys())
            for name, script in known.items():
                if name not in done:
                    for statement in statements(script):
                        self._raw.execute(statement)
                    self._raw.execute(self._texts["add_schema_version"], {"name": name})
        except BaseException:
            self._raw.execute("ROLLBACK")
            raise
        self._raw.execute("COMMIT")


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncGenerator[SqlStore]:
    """Open a database file, creating it and its folder if needed, and close it at the end.

    Raises:
        StorageFailed: it cannot be created, opened or locked, or has a newer schema.
        Corrupt: the file is not an SQLite database.

    """
    with _translated(path):
        _create(path)
        raw = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            raw.row_factory = sqlite3.Row
            raw.execute("PRAGMA journal_mode = WAL")
            # A commit survives a crash of the process; a power cut may lose the last ones, whole.
            raw.execute("PRAGMA synchronous = NORMAL")
            driver = SqliteDriver(raw, path)
            driver.migrate()
        except BaseException:
            raw.close()
            raise
    try:
        yield SqlStore(driver)
    finally:
        raw.close()


def _create(path: Path) -> None:
    """Make the file before SQLite does, so that nobody else can read what will be in it."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


@contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except LockgateError:
        raise
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise Corrupt(
                f"`{path}` is not a whole SQLite database: {error}",
                hint="move it away to start a new log, and keep it: it is evidence",
            ) from error
        raise StorageFailed(
            f"the database `{path}` failed: {error}",
            hint="free some space, or choose another place with LOCKGATE_STATE_DIR or `store.url`",
        ) from error
    except OSError as error:
        raise StorageFailed(
            f"the database `{path}` cannot be opened: {error.strerror}",
            hint="choose another place with LOCKGATE_STATE_DIR or `store.url`",
        ) from error
