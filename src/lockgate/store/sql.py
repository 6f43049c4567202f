"""Loads the named queries, and says what a driver must do."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, TypeAlias

from lockgate.errors import Corrupt, StorageFailed

Value: TypeAlias = str | int | bytes | None
Row: TypeAlias = Mapping[str, Value]

VERSION_TABLE = "CREATE TABLE IF NOT EXISTS schema_version (name TEXT PRIMARY KEY)"
_PACKAGE = Path(__file__).parent


class Connection(Protocol):
    """A transaction that runs named queries.

    One that reads first sees a single snapshot and keeps no writer waiting. One that writes, or
    locks, first sees the newest state and keeps other writers waiting. One that reads first and
    writes later fails if another process has written in between.
    """

    async def run(self, query: str, **params: Value) -> Sequence[Row]:
        """Run the query of that name in `queries.sql` and return all its rows."""
        ...

    async def run_many(self, query: str, rows: Sequence[Mapping[str, Value]]) -> None:
        """Run a query that returns nothing once for each of `rows`, in order."""
        ...

    async def lock(self, name: str) -> None:
        """Hold `name` against every other process until the transaction ends."""
        ...


class Driver(Protocol):
    """A database."""

    def transaction(self) -> AbstractAsyncContextManager[Connection]: ...


def queries() -> dict[str, str]:
    """Return each named query of `queries.sql`, with `:name` parameters."""
    text = (_PACKAGE / "queries.sql").read_text("utf-8")
    found = re.findall(r"^-- name: (\w+)\n([^;]*;)", text, re.MULTILINE)
    return dict(found)


def is_read(query: str) -> bool:
    """Say whether a query changes nothing."""
    return query.startswith("SELECT")


def migrations() -> dict[str, str]:
    """Return the migration scripts by name, oldest first: `NNNN_pre_*` and `NNNN_post_*`."""
    folder = _PACKAGE / "migrations"
    files = sorted(folder.iterdir(), key=lambda f: f.name)
    return {f.name: f.read_text("utf-8") for f in files if f.name.endswith(".sql")}


def statements(script: str) -> list[str]:
    """Split a migration; ours hold no semicolon inside a literal."""
    return [part.strip() for part in script.split(";") if part.strip()]


def refuse_newer(database: str, unknown: AbstractSet[str]) -> None:
    """Refuse a database with migrations that this program does not know.

    Raises:
        StorageFailed: there are any.

    """
    if unknown:
        raise StorageFailed(
            f"`{database}` has the newer schema `{max(unknown)}`",
            hint="use the newer Lockgate that wrote it, or another `store.url`",
        )


def changed_meanwhile(database: str) -> StorageFailed:
    """Return the error for a transaction that read first and lost to another writer."""
    return StorageFailed(
        f"the database `{database}` was changed while it was read", hint="run the command again"
    )


def contradicts_itself(database: str) -> Corrupt:
    """Return the error for an event that is to be appended and whose number is taken."""
    return Corrupt(
        f"the audit log in `{database}` goes on after its head: it was edited",
        hint="see `lockgate audit verify`; move the database away to start a new log",
    )
