"""The PostgreSQL driver: a pool, and the same SQL with `%(name)s` parameters."""

import re
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from lockgate.errors import StorageFailed
from lockgate.store.records import SqlStore
from lockgate.store.sql import Row, Value, migrations, queries, refuse_newer, statements

CONNECT_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 8


class PostgresConnection:
    """A transaction on one pooled connection."""

    def __init__(self, raw: AsyncConnection[DictRow], texts: dict[str, bytes]) -> None:
        self._raw = raw
        self._texts = texts

    async def run(self, query: str, **params: Value) -> Sequence[Row]:
        """See `Connection.run`."""
        cursor = await self._raw.execute(self._texts[query], params)
        return await cursor.fetchall() if cursor.description else []

    async def lock(self, name: str) -> None:
        """Take an advisory lock for the length of the transaction."""
        await self._raw.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


class PostgresDriver:
    """For several replicas. The pool is opened and closed by its owner."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], shown: str) -> None:
        self._pool = pool
        self._shown = shown
        self._texts = {
            name: re.sub(r":(\w+)", r"%(\1)s", sql).encode() for name, sql in queries().items()
        }

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[PostgresConnection]:
        """See `Driver.transaction`."""
        with _translated(self._shown):
            async with self._pool.connection() as raw, raw.transaction():
                yield PostgresConnection(raw, self._texts)

    async def migrate(self) -> None:
        """Bring the database to this program's schema; several processes may try at once."""
        known = migrations()
        async with self.transaction() as connection:
            await connection.lock("schema")
            await self._execute(connection, _VERSION_TABLE)
            done = {str(row["name"]) for row in await connection.run("schema_versions")}
            refuse_newer(self._shown, done - known.keys())
            for name, script in known.items():
                if name not in done:
                    for statement in statements(script):
                        await self._execute(connection, statement)
                    await connection.run("add_schema_version", name=name)

    async def _execute(self, connection: PostgresConnection, sql: str) -> None:
        await connection._raw.execute(sql.encode())  # noqa: SLF001  the two classes are one driver


_VERSION_TABLE = "CREATE TABLE IF NOT EXISTS schema_version (name TEXT PRIMARY KEY)"


@asynccontextmanager
async def open_postgres(url: str) -> AsyncGenerator[SqlStore]:
    """Open a pool on `postgresql://…`, migrate, and close the pool at the end.

    Raises:
        StorageFailed: the server does not answer, refuses, or has a newer schema.

    """
    shown = _without_password(url)
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        url,
        kwargs={"row_factory": dict_row, "connect_timeout": int(CONNECT_TIMEOUT_S)},
        min_size=1,
        max_size=MAX_CONNECTIONS,
        timeout=CONNECT_TIMEOUT_S,
        open=False,
    )
    with _translated(shown):
        await pool.open(wait=True, timeout=CONNECT_TIMEOUT_S)
    try:
        driver = PostgresDriver(pool, shown)
        await driver.migrate()
        yield SqlStore(driver)
    finally:
        await pool.close()


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user, found, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{found}{host}", query=""))


@contextmanager
def _translated(shown: str) -> Generator[None]:
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise StorageFailed(
            f"the database `{shown}` failed: {reason}",
            hint="check that it runs and that `store.url` or `store.url_env` is right",
        ) from error
