"""Calls that were kept before their failures had a column of their own."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest

from conftest import Opener
from lockgate.ports import KeptCall
from lockgate.store.sql import VERSION_TABLE, migrations, statements

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
UNTIL = NOON + timedelta(hours=24)
FAILURE = '{"error":{"code":"no-answer","message":"a \\"}\\" and \u00fc"}}'
ANSWER = '{"call":"c","output":{"failure":"none"}}'
Behind: TypeAlias = Callable[[Sequence[str]], None]


@pytest.fixture
def behind(request: pytest.FixtureRequest, opener: Opener, tmp_path: Path) -> Behind:
    """Runs SQL in the database that `opener` opens, behind the program's back."""
    if request.node.callspec.params["opener"] == "sqlite":

        def on_sqlite(script: Sequence[str]) -> None:
            with closing(sqlite3.connect(tmp_path / "lockgate.db")) as raw, raw:
                for statement in script:
                    raw.execute(statement)

        return on_sqlite
    dsn: str = request.getfixturevalue("postgres_dsn")

    def on_postgres(script: Sequence[str]) -> None:
        with psycopg.connect(dsn) as raw:
            for statement in script:
                raw.execute(statement.encode())

    return on_postgres


def older(than: str) -> list[str]:
    """Return what makes the schema as it was before the migration `than`."""
    script = [VERSION_TABLE]
    for name, text in sorted(migrations().items()):
        if name < than:
            script += [*statements(text), f"INSERT INTO schema_version VALUES ('{name}')"]
    return script


def row(name: str, answer: str | None) -> str:
    kept = "NULL" if answer is None else f"'{answer}'"
    return (
        "INSERT INTO task_calls (id, owner, task, digest, holder, answer, until) VALUES "
        f"('{name}', 'o', 't', 'd', 'h', {kept}, '{UNTIL.isoformat()}')"
    )


def call(name: str, **kept: str) -> KeptCall:
    return KeptCall(id=name, owner="o", task="t", digest="d", holder="h", until=UNTIL, **kept)


def test_what_an_older_schema_kept_is_what_it_was(opener: Opener, behind: Behind) -> None:
    behind(
        [
            *older("0008"),
            row("failed", f'{{"failure":{FAILURE}}}'),
            row("answered", ANSWER),
            row("running", None),
        ]
    )

    async def work() -> None:
        async with opener() as store, store.begin() as unit:
            assert await unit.calls.find("failed") == call("failed", failure=FAILURE)
            assert await unit.calls.find("answered") == call("answered", answer=ANSWER)
            assert await unit.calls.find("running") == call("running")
        async with opener() as store, store.begin() as unit:
            claimed = {
                name: await unit.calls.claim(call(name), NOON)
                for name in ("failed", "answered", "running")
            }
            assert claimed == {"failed": True, "answered": False, "running": False}
            assert await unit.calls.find("failed") == call("failed")

    asyncio.run(work())


def test_an_answer_that_begins_as_a_failure_did_is_an_answer(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store, store.begin() as unit:
            assert await unit.calls.claim(call("c"), NOON)
            answered = call("c", answer='{"failure":{}}')
            assert await unit.calls.keep(answered)
            assert not await unit.calls.claim(call("c"), NOON)
            assert await unit.calls.find("c") == answered

    asyncio.run(work())


def test_a_failure_that_is_kept_is_not_given_up(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store, store.begin() as unit:
            assert await unit.calls.claim(call("c"), NOON)
            failed = call("c", failure=FAILURE)
            assert await unit.calls.keep(failed)
            await unit.calls.give_up(failed)
            assert await unit.calls.find("c") == failed

    asyncio.run(work())
