import os
import stat
import time
from pathlib import Path

import pytest
from blake3 import blake3

from lockgate.domain.digest import Digest
from lockgate.errors import NotFound, StorageFailed, UsageError
from lockgate.oci import ingest
from lockgate.oci.chunks import ChunkTable
from lockgate.oci.ingest import Way, ingest_file
from lockgate.oci.layout import Layout
from oci.doubles import files_of_at_most, unprivileged
from oci.samples import noise

MIB = 1 << 20


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "store")


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def later() -> int:
    """A time at which files that are written now are long settled."""
    return time.time_ns() + 10**10


def leftovers(layout: Layout) -> list[str]:
    return [path.name for path in layout.ingest.iterdir()]


@pytest.mark.parametrize("size", [0, 1, 4 * MIB, 4 * MIB + 1, 17 * MIB + 3])
def test_a_file_becomes_a_blob_with_both_digests(layout: Layout, tmp_path: Path, size: int) -> None:
    data = noise(size)
    path = written(tmp_path / "file", data)
    found = ingest_file(layout, path)
    assert (found.digest, found.size) == (Digest.of(data), size)
    assert found.blake3 == f"blake3:{blake3(data).hexdigest()}"
    blob = layout.blob(found.digest)
    assert blob.read_bytes() == data
    assert stat.S_IMODE(blob.stat().st_mode) == 0o444
    assert leftovers(layout) == []
    assert path.read_bytes() == data


def test_only_a_large_blob_has_a_chunk_table(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    assert ingest_file(layout, path).chunks is None
    with path.open("ab") as file:
        file.write(b"x")
    zeros = blake3(bytes(16 * MIB)).digest()
    hashes = (*[zeros] * 4, blake3(b"x").digest())
    assert ingest_file(layout, path).chunks == ChunkTable.of(64 * MIB + 1, hashes)


def test_the_copy_is_the_stores_own(layout: Layout, tmp_path: Path) -> None:
    path = written(tmp_path / "file", b"before")
    found = ingest_file(layout, path)
    assert found.way in {Way.COPIED, Way.CLONED}
    path.write_bytes(b"AFTER!")
    assert layout.blob(found.digest).read_bytes() == b"before"


def test_a_linked_file_is_the_blob_and_becomes_read_only(layout: Layout, tmp_path: Path) -> None:
    path = written(tmp_path / "file", b"weights")
    found = ingest_file(layout, path, link=True)
    assert found.way is Way.LINKED
    assert path.samefile(layout.blob(found.digest))
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_a_link_to_a_file_gives_the_files_bytes(layout: Layout, tmp_path: Path) -> None:
    written(tmp_path / "file", b"weights")
    (tmp_path / "alias").symlink_to("file")
    found = ingest_file(layout, tmp_path / "alias", link=True)
    assert layout.blob(found.digest).read_bytes() == b"weights"
    assert not layout.blob(found.digest).is_symlink()


def test_an_unchanged_file_is_not_read_again(layout: Layout, tmp_path: Path) -> None:
    path = written(tmp_path / "file", noise(100))
    first = ingest_file(layout, path, clock=later)
    again = ingest_file(layout, path, clock=later)
    assert (again.digest, again.blake3, again.way) == (first.digest, first.blake3, Way.KNOWN)


def test_a_file_that_was_just_written_is_read_again(layout: Layout, tmp_path: Path) -> None:
    path = written(tmp_path / "file", noise(100))
    ingest_file(layout, path)
    assert ingest_file(layout, path).way is not Way.KNOWN


@pytest.mark.parametrize("change", ["bytes", "times", "blob gone", "blob damaged", "cache damaged"])
def test_the_cache_is_not_believed_after_a_change(
    layout: Layout, tmp_path: Path, change: str
) -> None:
    path = written(tmp_path / "file", b"one")
    state = path.stat()
    blob = layout.blob(ingest_file(layout, path, clock=later).digest)
    expected = b"one"
    match change:
        case "bytes":
            path.write_bytes(b"two")
            # Same size, same inode, and the modification time put back: `ctime` tells.
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
            expected = b"two"
        case "times":
            os.utime(path, ns=(0, 0))
        case "blob gone":
            blob.unlink()
        case "blob damaged":
            blob.chmod(0o644)
            blob.write_bytes(b"0ne")
        case _:
            (layout.root / ingest.DIGESTS).write_bytes(b"not a database" * 100)
    found = ingest_file(layout, path)
    assert found.way is not Way.KNOWN
    assert layout.blob(found.digest).read_bytes() == expected
    assert found.digest == Digest.of(expected)


def test_a_damaged_cache_starts_again(layout: Layout, tmp_path: Path) -> None:
    path = written(tmp_path / "file", b"one")
    layout.prepare()
    (layout.root / ingest.DIGESTS).write_bytes(b"not a database" * 100)
    ingest_file(layout, path, clock=later)
    assert ingest_file(layout, path).way is Way.KNOWN


def test_a_file_that_changes_while_it_is_read_is_refused_with_both_sizes(
    layout: Layout, tmp_path: Path
) -> None:
    path = written(tmp_path / "file", noise(9 * MIB))

    def grow(_: int) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    with pytest.raises(UsageError, match=r"changed while it was read: 9,437,184 bytes before, 9,"):
        ingest_file(layout, path, advance=grow)
    assert leftovers(layout) == []
    assert list((layout.root / "blobs" / "sha256").iterdir()) == []


def test_what_is_not_a_file_is_refused(layout: Layout, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(UsageError, match="is not a regular file"):
            ingest_file(layout, path)
    with pytest.raises(NotFound, match="does not exist"):
        ingest_file(layout, tmp_path / "none")


def test_a_file_that_may_not_be_read_is_named(layout: Layout, open_folder: Path) -> None:
    path = open_folder / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    with unprivileged(), pytest.raises(UsageError, match="secret` cannot be read: permission"):
        ingest_file(Layout(open_folder / "store"), path)


def test_a_store_without_space_says_so_before_it_copies(layout: Layout, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(StorageFailed, match="8,796,093,022,208 are needed"):
        ingest_file(layout, path)
    assert leftovers(layout) == []


def test_a_full_disk_leaves_nothing_and_says_so(layout: Layout, tmp_path: Path) -> None:
    path = written(tmp_path / "file", noise(5 * MIB))
    with files_of_at_most(MIB), pytest.raises(StorageFailed, match="cannot be written: file too"):
        ingest_file(layout, path)
    assert leftovers(layout) == []
    assert layout.blobs() == []
