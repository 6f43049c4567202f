"""The database that the configuration names."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.errors import InvalidConfig
from lockgate.ports import GatewayState


@asynccontextmanager
async def open_store(loaded: Loaded, environment: Environment) -> AsyncGenerator[GatewayState]:
    """Open the database that the configuration names; SQLite in the state folder by default."""
    chosen = loaded.config.store
    url = chosen.url
    if chosen.url_env:
        url = environment.secret(chosen.url_env)
        if url is None:
            raise InvalidConfig(
                f"the environment variable `{chosen.url_env}` is not set",
                hint="`store.url_env` in lockgate.toml names it",
            )
    if url is not None and not url.startswith("sqlite:"):
        from lockgate.store.postgres import open_postgres

        async with open_postgres(url) as store:
            yield store
        return
    from lockgate.store.sqlite import open_sqlite

    path = (
        environment.state_dir / "lockgate.db"
        if url is None
        else loaded.resolve(Path(url.removeprefix("sqlite:")))
    )
    async with open_sqlite(path) as store:
        yield store
