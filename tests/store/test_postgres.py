"""What only a server of its own does: it can be restarted between two transactions."""

import asyncio

import psycopg

from lockgate.store.postgres import open_postgres

END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE application_name = 'lockgate' AND datname = current_database()"
)


def test_a_connection_that_the_server_has_closed_is_not_used_again(postgres_dsn: str) -> None:
    async def work() -> None:
        async with open_postgres(postgres_dsn) as store:
            async with store.begin() as unit:
                await unit.head()
            with psycopg.connect(postgres_dsn, autocommit=True) as admin:
                ended = admin.execute(END).fetchall()
            assert ended, "one was kept"
            async with store.begin() as unit:
                await unit.head()

    asyncio.run(work())
