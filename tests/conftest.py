import uuid
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import psycopg
import pytest

from lockgate.store.postgres import open_postgres
from lockgate.store.records import SqlStore
from lockgate.store.sqlite import open_sqlite
from postgres import running_postgres
from upstream.mock_model import MockModel, mock_model

Opener = Callable[[], AbstractAsyncContextManager[SqlStore]]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Say in which order a failed run went: -q hides the line that pytest-randomly prints."""
    if exitstatus:
        terminalreporter.write_line(
            f"same order: --randomly-seed={config.getoption('randomly_seed')}"
        )


@pytest.fixture
def mock() -> Generator[MockModel]:
    """An upstream on loopback, which answers, streams, fails or hangs as it is told."""
    with mock_model() as found:
        yield found


@pytest.fixture(scope="session")
def postgres_admin_dsn() -> Generator[str]:
    """The address of one server for all tests, which may create databases in it."""
    with running_postgres() as dsn:
        yield dsn


@pytest.fixture
def postgres_dsn(postgres_admin_dsn: str) -> Generator[str]:
    """The address of an empty database of the test's own."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_admin_dsn, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
        yield postgres_admin_dsn.replace("/postgres", f"/{name}")
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Opener]:
    """A function that opens one empty, migrated store: on SQLite, then on PostgreSQL."""
    if request.param == "sqlite":
        yield lambda: open_sqlite(tmp_path / "lockgate.db")
        return
    dsn: str = request.getfixturevalue("postgres_dsn")
    yield lambda: open_postgres(dsn)
