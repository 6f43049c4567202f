"""The SQLite driver: one connection, one writer at a time.

Calls are short and made on the caller's thread: handing each to a worker costs more than it takes.
Waiting for another process is not: it happens in slices between which the event loop runs.
"""

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

from lockgate.errors import Corrupt, LockgateError, StorageFailed
from lockgate.store.records import SqlStore
from lockgate.store.sql import (
    VERSION_TABLE,
    Row,
    Value,
    changed_meanwhile,
    contradicts_itself,
    is_read,
    migrations,
    queries,
    refuse_newer,
    statements,
)

WAIT_S = 30.0
_SLICE_S = 0.05
_ROWS = 64
"""Of one INSERT. The module lets go of the interpreter for each statement, and on a busy thread
waits for it again, which takes longer than the row. 14 columns make 896 variables: 999 is the
most of an SQLite before 3.32."""
_VALUES = re.compile(r"VALUES\s*\((:\w+(?:,\s*:\w+)*)\)")
_PRIMARY = 0xFF  # https://www.sqlite.org/rescode.html: the low byte of an extended result code
_ELSEWHERE = "choose another place with LOCKGATE_STATE_DIR or `store.url`"
_HINTS = {
    sqlite3.SQLITE_FULL: f"free some space, or {_ELSEWHERE}",
    sqlite3.SQLITE_BUSY: "another program holds it; try again when that has ended",
    sqlite3.SQLITE_LOCKED: "another program holds it; try again when that has ended",
}


class SqliteDriver:
    """For one host: laptop, CI job, sidecar."""

    def __init__(self, raw: sqlite3.Connection, path: Path, *, wait_s: float = WAIT_S) -> None:
        self._raw = raw
        self._path = path
        self._wait_s = wait_s
        self._turn = asyncio.Lock()
        self._texts = queries()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator["SqliteConnection"]:
        """See `Driver.transaction`."""
        async with self._turn:
            try:
                yield SqliteConnection(self, self._texts)
                if self._raw.in_transaction:
                    await self.execute("COMMIT")
            finally:
                if self._raw.in_transaction:  # a full disk may have rolled back already
                    self._raw.execute("ROLLBACK")

    async def execute(self, sql: str, params: Mapping[str, Value] | None = None) -> list[Row]:
        """Run one statement; wait while another process holds what it needs."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait_s
        with _translated(self._path):
            while True:
                try:
                    return [dict(row) for row in self._raw.execute(sql, params or {})]
                except sqlite3.OperationalError as error:
                    code = _code(error)
                    if code == sqlite3.SQLITE_BUSY_SNAPSHOT:
                        raise changed_meanwhile(str(self._path)) from error
                    if code & _PRIMARY != sqlite3.SQLITE_BUSY or loop.time() >= deadline:
                        raise
                await asyncio.sleep(0)  # SQLite has slept; others have their turn

    def execute_many(self, sql: str, rows: Sequence[Mapping[str, Value]]) -> None:
        """Run one INSERT for each of `rows`, in a transaction that holds the database."""
        left = len(rows) % _ROWS
        whole = len(rows) - left
        wide, values = _widened(sql)
        with _translated(self._path):
            for first in range(0, whole, _ROWS):
                some = rows[first : first + _ROWS]
                self._raw.execute(wide, [value for row in some for value in values(row)])
            self._raw.executemany(sql, rows[whole:])

    async def prepare(self) -> None:
        """Set the connection up and bring the database to this program's schema."""
        (mode,) = await self.execute("PRAGMA journal_mode")
        if mode["journal_mode"] != "wal":
            await self.execute("PRAGMA journal_mode = WAL")
        # In WAL mode less than this may lose the last events in a power cut.
        await self.execute("PRAGMA synchronous = FULL")
        # What has expired is to be gone from the file too.
        await self.execute("PRAGMA secure_delete = ON")
        known = migrations()
        async with self.transaction() as connection:
            if await self._done(connection) == known.keys():
                return
        async with self.transaction() as connection:
            await connection.lock("schema")
            await self.execute(VERSION_TABLE)
            done = await self._done(connection)
            refuse_newer(str(self._path), done - known.keys())
            for name in sorted(known.keys() - done):
                for statement in statements(known[name]):
                    await self.execute(statement)
                await connection.run("add_schema_version", name=name)

    async def _done(self, connection: "SqliteConnection") -> set[str]:
        tables = "SELECT name FROM sqlite_master WHERE name = 'schema_version'"
        if not await self.execute(tables):
            return set()
        return {str(row["name"]) for row in await connection.run("schema_versions")}


class SqliteConnection:
    """A transaction on the shared connection."""

    def __init__(self, driver: SqliteDriver, texts: Mapping[str, str]) -> None:
        self._driver = driver
        self._texts = texts
        self._begun = False

    async def run(self, query: str, **params: Value) -> Sequence[Row]:
        """See `Connection.run`."""
        text = self._texts[query]
        await self._begin(writing=not is_read(text))
        return await self._driver.execute(text, params)

    async def run_many(self, query: str, rows: Sequence[Mapping[str, Value]]) -> None:
        """See `Connection.run_many`."""
        await self._begin(writing=True)
        self._driver.execute_many(self._texts[query], rows)

    async def lock(self, name: str) -> None:
        """Hold the whole database: SQLite has no smaller lock."""
        await self._begin(writing=True)

    async def _begin(self, *, writing: bool) -> None:
        # One that reads first keeps its snapshot and blocks nobody. If it writes later, SQLite
        # itself refuses when another process has written since.
        if not self._begun:
            self._begun = True
            await self._driver.execute("BEGIN IMMEDIATE" if writing else "BEGIN")


@asynccontextmanager
async def open_sqlite(path: Path, *, wait_s: float = WAIT_S) -> AsyncGenerator[SqlStore]:
    """Open a database file, creating it and its folder if needed, and close it at the end.

    `wait_s` is how long to wait, at each statement, for other processes to let go.

    Raises:
        StorageFailed: it cannot be created, opened or locked, or has a newer schema.
        Corrupt: the file is not an SQLite database.

    """
    with _translated(path):
        _create(path)
        raw = sqlite3.connect(path, timeout=_SLICE_S, isolation_level=None)
    try:
        raw.row_factory = sqlite3.Row
        raw.text_factory = _decode
        driver = SqliteDriver(raw, path, wait_s=wait_s)
        await driver.prepare()
        yield SqlStore(driver)
    finally:
        raw.close()


@lru_cache
def _widened(sql: str) -> tuple[str, Callable[[Mapping[str, Value]], tuple[Value, ...]]]:
    """Return an INSERT of one row as one of `_ROWS`, and what takes a row's values for it."""
    found = _VALUES.search(sql)
    assert found is not None, "what is run for many rows is an INSERT with names for its values"
    names = [name.strip(" \n:") for name in found[1].split(",")]
    row = f"({', '.join('?' for _ in names)})"
    wide = f"{sql[: found.start()]}VALUES {', '.join([row] * _ROWS)}{sql[found.end() :]}"
    return wide, itemgetter(*names)


def _create(path: Path) -> None:
    """Make the file before SQLite does, so that nobody else can read what will be in it."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _decode(stored: bytes) -> str:
    # Edited text may be no UTF-8: let it through, whole, to where it is compared.
    return stored.decode("utf-8", "surrogateescape")


def _code(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0)  # absent when Python raised it
    return code


@contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except LockgateError:
        raise
    except sqlite3.DatabaseError as error:
        raise _failure(path, error) from error
    except OSError as error:
        raise StorageFailed(
            f"the database `{path}` cannot be opened: {error.strerror}", hint=_ELSEWHERE
        ) from error


def _failure(path: Path, error: sqlite3.DatabaseError) -> LockgateError:
    code = _code(error) & _PRIMARY
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return Corrupt(
            f"`{path}` is not a whole SQLite database: {error}",
            hint="move it away to start a new log, and keep it: it is evidence",
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        return contradicts_itself(str(path))
    return StorageFailed(
        f"the database `{path}` failed: {error}", hint=_HINTS.get(code, _ELSEWHERE)
    )
