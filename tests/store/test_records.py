import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Opener
from lockgate.domain.audit import AuditEvent, Entry, Head, verify
from lockgate.domain.audit_export import encode_event, encode_head, verify_export
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, StorageFailed
from lockgate.ports import Payload
from lockgate.store.postgres import open_postgres
from lockgate.store.records import SqlStore
from lockgate.store.sql import queries
from lockgate.store.sqlite import open_sqlite

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROCESSES, CALLS = 8, 125


def entry(number: int, subject: str = "review") -> Entry:
    return Entry(
        id=f"call-{number}",
        at=NOON + timedelta(seconds=number),
        actor="ana",
        action="call",
        subject=subject,
        detail={"n": number, "text": "ünï\u0000code"},
    )


async def append(store: SqlStore, *entries: Entry) -> None:
    for item in entries:
        async with store.begin() as unit:
            await unit.append(item)


async def chain(store: SqlStore) -> tuple[Sequence[AuditEvent], Head]:
    async with store.begin() as unit:
        return await unit.events(limit=10_000), await unit.head()


def test_events_come_back_as_they_were_and_verify(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            await append(store, *(entry(n) for n in range(5)))
            events, head = await chain(store)
            assert [e.entry for e in events] == [entry(n) for n in range(5)]
            assert verify(events, head) == 5

    asyncio.run(work())


def test_a_store_keeps_its_chain_when_it_is_opened_again(opener: Opener) -> None:
    async def work() -> None:
        for number in range(3):
            async with opener() as store:
                await append(store, entry(number))
        async with opener() as store:
            assert verify(*(await chain(store))) == 3

    asyncio.run(work())


def test_events_are_found_by_id_by_task_and_page_by_page(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            await append(store, entry(1), entry(2, "notes"), entry(3), entry(1, "again"))
            async with store.begin() as unit:
                found = await unit.event("call-1")
                assert found is not None
                assert found.entry.subject == "again"
                assert await unit.event("call-9") is None
                newest = [e.seq for e in await unit.recent(limit=2)]
                reviews = [e.seq for e in await unit.recent(limit=9, task="review")]
                older = [e.seq for e in await unit.recent(limit=2, before=4)]
                older += [e.seq for e in await unit.recent(limit=9, task="review", before=3)]
                page = [e.seq for e in await unit.events(after=1, limit=2)]
            assert (newest, reviews, page) == ([4, 3], [3, 1], [2, 3])
            assert older == [3, 2, 1]

    asyncio.run(work())


def test_a_failed_transaction_leaves_nothing(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            with pytest.raises(RuntimeError, match="changed my mind"):
                async with store.begin() as unit:
                    await unit.append(entry(1))
                    raise RuntimeError("changed my mind")
            assert await chain(store) == ([], Head())

    asyncio.run(work())


def test_payloads_are_kept_until_they_expire_and_storing_again_prolongs(opener: Opener) -> None:
    data = b'{"input":"x"}'
    digest = Digest.of(data)

    async def work() -> None:
        async with opener() as store, store.begin() as unit:
            await unit.put_payload(digest, Payload(data=data, expires_at=NOON))
            later = NOON + timedelta(days=2)
            await unit.put_payload(digest, Payload(data=data, expires_at=later))
            await unit.put_payload(digest, Payload(data=data, expires_at=NOON))
            await unit.put_payload(Digest.of(b"f"), Payload(data=b"f", expires_at=None))
            assert await unit.drop_expired(NOON + timedelta(days=1)) == 0
            assert await unit.payload(digest) == data
            assert await unit.drop_expired(NOON + timedelta(days=3)) == 1
            assert await unit.payload(digest) is None
            assert await unit.payload(Digest.of(b"f")) == b"f"

    asyncio.run(work())


def test_deleting_payloads_leaves_the_chain_verifiable(opener: Opener) -> None:
    async def work() -> None:
        async with opener() as store:
            await append(store, entry(1), entry(2))
            async with store.begin() as unit:
                await unit.put_payload(Digest.of(b"f"), Payload(data=b"f", expires_at=NOON))
                await unit.drop_expired(NOON + timedelta(days=1))
            assert verify(*(await chain(store))) == 2

    asyncio.run(work())


def test_every_query_is_used_by_a_test_of_both_databases() -> None:
    here = (Path(__file__).parents[2] / "src/lockgate/store").glob("*.py")
    code = "".join(path.read_text("utf-8") for path in here)

    assert [name for name in queries() if f'"{name}"' not in code] == []


WORKER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from test_records import CALLS, append, entry, open_postgres, open_sqlite
from pathlib import Path

async def work():
    kind, where, first = sys.argv[2], sys.argv[3], int(sys.argv[4])
    opened = open_sqlite(Path(where)) if kind == "sqlite" else open_postgres(where)
    async with opened as store:
        await append(store, *(entry(first + n) for n in range(CALLS)))

asyncio.run(work())
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_eight_processes_write_one_chain(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    dsn = str(tmp_path / "shared.db")
    if kind == "postgres":
        dsn = request.getfixturevalue("postgres_dsn")
    paths = f"{Path(__file__).parent}", f"{Path(__file__).parents[1]}"
    script = WORKER.replace("sys.argv[1])", f"{paths[1]!r}); sys.path.insert(0, {paths[0]!r})")
    running = [
        subprocess.Popen([sys.executable, "-c", script, "-", kind, dsn, str(n * CALLS)])
        for n in range(PROCESSES)
    ]
    assert [process.wait(timeout=120) for process in running] == [0] * PROCESSES

    async def work() -> None:
        opened = open_sqlite(Path(dsn)) if kind == "sqlite" else open_postgres(dsn)
        async with opened as store:
            events, head = await chain(store)
            assert verify(events, head) == PROCESSES * CALLS
            assert len({e.entry.id for e in events}) == PROCESSES * CALLS

    asyncio.run(work())


def export(path: Path) -> bytes:
    async def work() -> bytes:
        async with open_sqlite(path) as store:
            await append(store, entry(1), entry(2), entry(3))
            events, head = await chain(store)
            return b"".join(encode_event(e) + b"\n" for e in events) + encode_head(head) + b"\n"

    return asyncio.run(work())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return export(tmp_path_factory.mktemp("export") / "lockgate.db")


def test_an_export_verifies_offline(exported: bytes) -> None:
    assert verify_export(exported.splitlines(keepends=True)) == 3


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), change=st.integers(1, 255))
def test_any_single_byte_edit_of_an_export_is_found(
    exported: bytes, data: st.DataObject, change: int
) -> None:
    at = data.draw(st.integers(0, len(exported) - 1))
    edited = bytearray(exported)
    edited[at] ^= change

    with pytest.raises(Corrupt):
        verify_export(bytes(edited).splitlines(keepends=True))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 10_000))
def test_any_cut_of_an_export_is_found(exported: bytes, cut: int) -> None:
    with pytest.raises(Corrupt):
        verify_export(exported[: cut % len(exported)].splitlines(keepends=True))


def test_swapped_and_doubled_lines_of_an_export_are_found(exported: bytes) -> None:
    first, second, third, head = exported.splitlines(keepends=True)

    for lines in (
        [second, first, third, head],
        [first, second, second, third, head],
        [first, third, head],
        [first, second, third, head, head],
    ):
        with pytest.raises(Corrupt):
            verify_export(lines)


@pytest.mark.parametrize("column", ["seq", "id", "at", "action", "subject", "body"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 10_000), change=st.integers(1, 127))
def test_any_single_byte_edit_of_a_stored_row_is_found(
    column: str, at: int, change: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("edit") / "lockgate.db"
    export(path)
    with sqlite3.connect(path) as raw:
        (value,) = raw.execute(f"SELECT {column} FROM audit WHERE seq = 2").fetchone()
        if isinstance(value, int):
            edited: object = value + change + 3
        else:
            letters = bytearray(value.encode())
            letters[at % len(letters)] ^= change
            edited = letters.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
        raw.execute(f"UPDATE audit SET {column} = ? WHERE seq = 2", (edited,))
    raw.close()

    async def work() -> None:
        async with open_sqlite(path) as store:
            verify(*(await chain(store)))

    with pytest.raises(Corrupt):
        asyncio.run(work())


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET seq = 2",
        f"UPDATE audit_head SET digest = '{Digest.of(b'x')}'",
    ],
)
def test_a_deletion_or_a_changed_head_is_found(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "lockgate.db"
    export(path)
    with sqlite3.connect(path) as raw:
        raw.execute(statement)
    raw.close()

    async def work() -> None:
        async with open_sqlite(path) as store:
            verify(*(await chain(store)))

    with pytest.raises(Corrupt):
        asyncio.run(work())


def test_a_file_that_is_no_database_is_corrupt_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lockgate.db"
    path.write_bytes(b"this is not a database, " * 100)

    async def work() -> None:
        async with open_sqlite(path):
            raise AssertionError("opened")

    with pytest.raises(Corrupt, match="not a whole SQLite database"):
        asyncio.run(work())
    assert path.read_bytes() == b"this is not a database, " * 100


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lockgate.db"
    export(path)
    with sqlite3.connect(path) as raw:
        raw.execute("INSERT INTO schema_version (name) VALUES ('9999_pre_future.sql')")
    raw.close()

    async def work() -> None:
        async with open_sqlite(path):
            raise AssertionError("opened")

    with pytest.raises(StorageFailed, match=r"newer schema `9999_pre_future\.sql`"):
        asyncio.run(work())


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def work() -> None:
        async with open_sqlite(tmp_path / "file" / "lockgate.db"):
            raise AssertionError("opened")

    with pytest.raises(StorageFailed, match="cannot be opened") as caught:
        asyncio.run(work())
    assert "LOCKGATE_STATE_DIR" in str(caught.value.hint)


def test_a_full_disk_is_a_clear_error_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "lockgate.db"
    export(path)

    async def fill() -> None:
        async with open_sqlite(path) as store:
            store._driver._raw.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]
            big = Entry(
                id="big", at=NOON, actor="a", action="call", subject="s", detail={"x": "y" * 10**6}
            )
            await append(store, big)

    with pytest.raises(StorageFailed, match="full"):
        asyncio.run(fill())

    async def work() -> int:
        async with open_sqlite(path) as store:
            return verify(*(await chain(store)))

    assert asyncio.run(work()) == 3


def test_only_the_owner_can_read_the_database(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lockgate.db"
    export(path)

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert json.loads(export(path).splitlines()[0])["seq"] == 1
