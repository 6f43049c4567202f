"""Uploads whose process is killed, to Debian's registry and to one that keeps every byte."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate.domain.digest import Digest
from lockgate.errors import UsageError
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.journal import Journal
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings
from lockgate.oci.registry.uploads import Uploads
from oci.registry.scripted import Reply, Scripted, serving
from oci.registry.test_uploads import Uploading
from oci.samples import noise

PIECE = 1 << 20
BLOB = noise(5 * PIECE + 17, b"sent")
DIGEST = Digest.of(BLOB)


@pytest.fixture
def stored(layout: Layout) -> Layout:
    layout.put(BLOB)
    return layout


@pytest.fixture
def keeper() -> Iterator[tuple[Uploading, Scripted]]:
    there = Uploading()
    with serving(there) as server:
        yield there, server


def sender(layout: Layout, host: str, name: str, *, stop: int) -> subprocess.Popen[str]:
    program = Path(__file__).with_name("sender.py")
    return subprocess.Popen(
        [
            *(sys.executable, str(program), str(layout.root), host, name, str(DIGEST)),
            *(str(PIECE), str(stop)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(process: subprocess.Popen[str], lines: int) -> None:
    """Kill a sender after it printed that many lines."""
    assert process.stdout is not None
    assert process.stdin is not None
    for _ in range(lines):
        assert process.stdout.readline()
    process.kill()
    process.wait(10)
    process.stdout.close()
    process.stdin.close()


def uploads(layout: Layout, registry: Registry, name: str) -> Uploads:
    journal = Journal(layout, f"{registry.host}/{name}")
    return Uploads(registry, name, piece=PIECE, journal=journal)


def notes(layout: Layout) -> list[Path]:
    return sorted(layout.ingest.glob("*.upload"))


@pytest.mark.parametrize("pieces", [1, 3, 5])
def test_an_upload_that_was_killed_goes_on_after_its_last_piece(
    stored: Layout, repository: Repository, pieces: int
) -> None:
    registry, name = repository.registry, repository.name
    killed(sender(stored, registry.host, name, stop=pieces), lines=1 + pieces)
    (note,) = notes(stored)
    assert note.stat().st_mode & 0o777 == 0o600

    counted: list[int] = []
    uploads(stored, registry, name).push(DIGEST, stored.blob(DIGEST), counted.append)

    assert counted[0] == pieces * PIECE
    assert sum(counted) == len(BLOB)
    assert repository.uploads.has(DIGEST, len(BLOB))
    assert list(stored.ingest.iterdir()) == []


def test_killed_at_any_moment_the_next_upload_succeeds(
    stored: Layout, repository: Repository
) -> None:
    registry, name = repository.registry, repository.name
    for delay in (0.0, 0.02, 0.05):
        process = sender(stored, registry.host, name, stop=-1)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)  # where exactly it dies is what must not matter
        killed(process, lines=0)
    counted: list[int] = []
    uploads(stored, registry, name).push(DIGEST, stored.blob(DIGEST), counted.append)
    assert sum(counted) == len(BLOB)
    assert repository.uploads.has(DIGEST, len(BLOB))
    assert notes(stored) == []


def test_what_arrived_of_a_piece_is_not_sent_again_where_the_registry_kept_it(
    stored: Layout, keeper: tuple[Uploading, Scripted]
) -> None:
    there, server = keeper
    killed(sender(stored, server.host, "r", stop=2), lines=3)
    there.got += BLOB[2 * PIECE : 2 * PIECE + 1000]  # on the way when the process died
    with Registry(server.host, RegistrySettings(), pause=lambda _: None) as registry:
        uploads(stored, registry, "r").push(DIGEST, stored.blob(DIGEST), lambda _: None)
    sent = [asked.headers["content-range"] for asked in server.asked if asked.method == "PATCH"]
    assert sent[2] == f"{2 * PIECE + 1000}-{3 * PIECE + 999}"
    assert there.stored == {str(DIGEST): BLOB}
    assert sum(asked.method == "POST" for asked in server.asked) == 1


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"address": 1, "piece": 1, "size": 1}'])
def test_a_note_that_cannot_be_read_begins_the_upload_again(
    stored: Layout, keeper: tuple[Uploading, Scripted], note: bytes
) -> None:
    there, server = keeper
    killed(sender(stored, server.host, "r", stop=1), lines=2)
    (path,) = notes(stored)
    path.write_bytes(note)
    with Registry(server.host, RegistrySettings(), pause=lambda _: None) as registry:
        uploads(stored, registry, "r").push(DIGEST, stored.blob(DIGEST), lambda _: None)
    assert sum(asked.method == "POST" for asked in server.asked) == 2
    assert there.stored == {str(DIGEST): BLOB}
    assert notes(stored) == []


def test_an_upload_that_the_registry_refuses_leaves_no_note(
    stored: Layout, keeper: tuple[Uploading, Scripted]
) -> None:
    there, server = keeper
    there.faults = [Reply(status=202, headers={"Range": "0-1048575"}), Reply(status=409)]
    with (
        Registry(server.host, RegistrySettings(), pause=lambda _: None) as registry,
        pytest.raises(UsageError, match="409"),
    ):
        uploads(stored, registry, "r").push(DIGEST, stored.blob(DIGEST), lambda _: None)
    assert notes(stored) == []


def test_a_second_process_does_not_take_over_an_upload_that_goes_on(
    stored: Layout, repository: Repository
) -> None:
    registry, name = repository.registry, repository.name
    process = sender(stored, registry.host, name, stop=2)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    counted: list[int] = []
    uploads(stored, registry, name).push(DIGEST, stored.blob(DIGEST), counted.append)
    assert counted[0] == PIECE
    assert repository.uploads.has(DIGEST, len(BLOB))
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output


def test_a_store_that_takes_no_notes_can_be_pushed_from_all_the_same(
    stored: Layout, repository: Repository
) -> None:
    registry, name = repository.registry, repository.name
    nowhere = Layout(Path("/proc/no-such-store"))
    sent = Uploads(registry, name, piece=PIECE, journal=Journal(nowhere, name))
    sent.push(DIGEST, stored.blob(DIGEST), lambda _: None)
    assert repository.uploads.has(DIGEST, len(BLOB))
