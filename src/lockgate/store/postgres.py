"""The PostgreSQL driver: a pool, and the same SQL with `%(name)s` parameters."""

import re
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager

from lockgate.errors import Corrupt, InvalidConfig, LockgateError, StorageFailed
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

try:
    import psycopg
    from psycopg import AsyncConnection, errors
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.rows import DictRow, dict_row
    from psycopg_pool import AsyncConnectionPool
except ImportError as absent:
    raise InvalidConfig(
        f"`store.url` names PostgreSQL, whose driver is not installed: {absent}",
        hint="pip install 'lockgate[postgres]'",
    ) from absent

CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 30
MAX_CONNECTIONS = 8
_CHECK = "check that it runs and that `store.url` or `store.url_env` is right"
_HINTS = {  # by the class of the SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
    "25": "the server is read-only: name the primary in `store.url`",
    "42": "the account needs the rights to read and write the tables, and once to create them",
    "53": "the server is out of disk space, memory or connections",
    "55": "another process holds it; try again when that has ended",
}


class PostgresConnection:
    """A transaction on one pooled connection."""

    def __init__(self, raw: AsyncConnection[DictRow], texts: Mapping[str, bytes]) -> None:
        self._raw = raw
        self._texts = texts
        self._begun = False
        self.snapshot = False
        """Whether it read first."""

    async def run(self, query: str, **params: Value) -> Sequence[Row]:
        """See `Connection.run`."""
        text = self._texts[query]
        if not self._begun and is_read(text.decode()):
            await self.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self.snapshot = True
        self._begun = True
        cursor = await self._raw.execute(text, params)
        return await cursor.fetchall() if cursor.description else []

    async def run_many(self, query: str, rows: Sequence[Mapping[str, Value]]) -> None:
        """See `Connection.run_many`: sent as one pipeline, with one round trip."""
        self._begun = True
        async with self._raw.cursor() as cursor:
            await cursor.executemany(self._texts[query], rows)

    async def lock(self, name: str) -> None:
        """Take an advisory lock for the length of the transaction."""
        self._begun = True
        await self._raw.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])

    async def execute(self, statement: str) -> None:
        """Run SQL of our own that has no name: settings and migrations."""
        await self._raw.execute(statement.encode())


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
            async with self._pool.connection() as raw:
                connection = PostgresConnection(raw, self._texts)
                try:
                    async with raw.transaction():
                        yield connection
                except (errors.UniqueViolation, errors.SerializationFailure) as error:
                    if connection.snapshot:
                        raise changed_meanwhile(self._shown) from error
                    raise contradicts_itself(self._shown) from error

    async def migrate(self) -> None:
        """Bring the database to this program's schema; several processes may try at once.

        An account that may not create tables will do once another one has.
        """
        known = migrations()
        try:
            async with self.transaction() as connection:
                if await _done(connection) == known.keys():
                    return
        except StorageFailed as error:
            if not isinstance(error.__cause__, errors.UndefinedTable):
                raise
        async with self.transaction() as connection:
            await connection.lock("schema")
            await connection.execute(VERSION_TABLE)
            done = await _done(connection)
            refuse_newer(self._shown, done - known.keys())
            for name in sorted(known.keys() - done):
                for statement in statements(known[name]):
                    await connection.execute(statement)
                await connection.run("add_schema_version", name=name)


@asynccontextmanager
async def open_postgres(url: str) -> AsyncGenerator[SqlStore]:
    """Open a pool on `postgresql://…`, migrate, and close the pool at the end.

    Raises:
        StorageFailed: the server does not answer, refuses, or has a newer schema.
        InvalidConfig: the address is malformed.

    """
    shown = _without_password(url)
    await _knock(url, shown)
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        url,
        kwargs={**_SETTINGS, **_patience(url)},
        configure=_configure,
        # The server may have been restarted since: the first to ask must not be told so.
        check=AsyncConnectionPool.check_connection,
        min_size=0,
        max_size=MAX_CONNECTIONS,
        timeout=CONNECT_TIMEOUT_S,
        open=False,
    )
    async with pool:
        driver = PostgresDriver(pool, shown)
        await driver.migrate()
        yield SqlStore(driver)


_PATIENCE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # ms
}
"""A host that vanishes without a word is otherwise waited for a quarter of an hour, and so are the
keys that were revoked meanwhile. A server that is slow, or waits for a lock, still answers."""


def _patience(url: str) -> dict[str, int]:
    """Return how long a silent connection is believed in, where the address does not say."""
    said = conninfo_to_dict(url)
    return {name: value for name, value in _PATIENCE.items() if name not in said}


_SETTINGS = {
    "row_factory": dict_row,
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": "lockgate",
    # A pooler in front of the server may hand each transaction to another connection.
    "prepare_threshold": None,
}


async def _knock(url: str, shown: str) -> None:
    """Connect once: the pool would try again and again, and only say that time is up."""
    with _translated(shown):
        raw = await AsyncConnection.connect(url, connect_timeout=CONNECT_TIMEOUT_S)
        await raw.close()


async def _configure(raw: AsyncConnection[DictRow]) -> None:
    await raw.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'".encode())
    await raw.commit()


async def _done(connection: PostgresConnection) -> set[str]:
    return {str(row["name"]) for row in await connection.run("schema_versions")}


def _without_password(url: str) -> str:
    """Return the address for messages, as the driver understands it.

    A password with a bare `/` or `@` would be taken for host, port or database and be shown, so
    an address with such parts is refused.
    """
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        parts = {"port": "?"}
    user, host, port = parts.get("user", ""), parts.get("host", ""), parts.get("port", "")
    name = parts.get("dbname", "")
    if port.strip("0123456789,") or set("@:/?#") & set(name) or "@" in host:
        raise InvalidConfig(
            "the address of the database is malformed",
            hint="it is `postgresql://USER:PASSWORD@HOST:PORT/NAME`; special characters in USER "
            "and PASSWORD are percent-encoded",
        )
    return f"postgresql://{f'{user}@' if user else ''}{host}{f':{port}' if port else ''}/{name}"


@contextmanager
def _translated(shown: str) -> Generator[None]:
    try:
        yield
    except LockgateError:
        raise
    except (errors.DataCorrupted, errors.IndexCorrupted) as error:
        raise Corrupt(
            f"the database `{shown}` is damaged: {_reason(error)}",
            hint="restore it from a backup, and compare with an export",
        ) from error
    except psycopg.Error as error:
        raise StorageFailed(
            f"the database `{shown}` failed: {_reason(error)}",
            hint=_HINTS.get((error.sqlstate or "")[:2], _CHECK),
        ) from error


def _reason(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
