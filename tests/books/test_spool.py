import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.books.spool import Spool
from lockgate.errors import Corrupt, StorageFailed

KEPT = [HealthCheck.function_scoped_fixture]


def contents(spool: Spool, after: int = 0) -> list[bytes]:
    found: list[bytes] = []
    while after < spool.end:
        records = spool.read(after, limit=3)
        found += [record.content for record in records]
        after = records[-1].end
    return found


def open_below(folder: Path) -> int:
    """Return how many files of this process are open there."""
    files = [file for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    return sum(file.readlink().is_relative_to(folder) for file in files)


def only_segment(folder: Path) -> Path:
    (path,) = folder.glob("*.spool")
    return path


def test_records_come_back_in_order_after_the_folder_is_opened_again(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, "a")
    written = [bytes([n]) * n for n in range(50)]
    for content in written:
        spool.append(content)
    assert contents(spool) == written
    spool.close()

    again = Spool(tmp_path / "a")
    again.append(b"more")
    assert contents(again) == [*written, b"more"]
    assert again.same_boot
    again.close(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_one_living_process_own(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path, "a")
    with pytest.raises(StorageFailed):
        Spool(tmp_path / "a")
    spool.close()
    Spool(tmp_path / "a").close()


@settings(deadline=None, max_examples=60, suppress_health_check=KEPT)
@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=8),
    st.integers(0, 10**6),
)
def test_a_record_that_was_cut_off_by_a_death_is_dropped_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, written: list[bytes], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder)
    ends = []
    for content in written:
        spool.append(content)
        ends.append(spool.end)
    spool.close()
    size = cut % (ends[-1] + 1)
    os.truncate(only_segment(folder), size)

    again = Spool(folder)
    whole = [content for content, end in zip(written, ends, strict=True) if end <= size]
    assert contents(again) == whole
    again.append(b"next")
    assert contents(again) == [*whole, b"next"]
    again.close()


@settings(deadline=None, max_examples=100, suppress_health_check=KEPT)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_found_unless_it_makes_the_last_record_look_cut_off(
    tmp_path_factory: pytest.TempPathFactory, at: int, change: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder)
    written = [b"one", b"two" * 9, b"", b"four"]
    for content in written:
        spool.append(content)
    spool.close()
    path = only_segment(folder)
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= change
    path.write_bytes(data)

    try:
        again = Spool(folder)
    except Corrupt:
        return
    found = contents(again)
    again.close()
    assert found == written[:-1]


def test_old_segments_are_forgotten_when_they_were_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=100)
    written = [bytes([n]) * 30 for n in range(12)]
    for content in written:
        if spool.is_full():
            spool.rotate()
        spool.append(content)
    assert len(list(tmp_path.glob("*.spool"))) == 4
    assert contents(spool) == written

    third = spool.read(0, limit=2)[-1].end
    spool.forget(third)
    assert contents(spool) == written
    spool.forget(spool.end)
    assert contents(spool, spool.start) == written[-3:]
    spool.close()
    again = Spool(tmp_path, segment_bytes=100)
    assert contents(again, again.start) == written[-3:]
    again.close()


def test_a_spool_of_another_boot_says_so(tmp_path: Path) -> None:
    Spool(tmp_path).close()
    (tmp_path / "boot").write_text("another")
    spool = Spool(tmp_path)
    assert not spool.same_boot
    spool.close()


def test_a_full_disk_leaves_nothing_of_a_record(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from lockgate.books.spool import Spool
from lockgate.errors import StorageFailed
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.dont_write_bytecode = True
spool = Spool(Path(sys.argv[1]))
spool.append(b"x" * 500)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for _ in range(2):
    try:
        spool.append(b"y" * 800)
    except StorageFailed:
        print("refused")
spool.append(b"z" * 100)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert done.stdout == "refused\nrefused\n"
    spool = Spool(tmp_path)
    assert contents(spool) == [b"x" * 500, b"z" * 100]
    spool.close()


def test_a_record_that_could_not_be_cut_off_is_before_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all that follows it would stand in another place than it says, and could not be read."""

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "the disk fails")

    write = os.write
    spool = Spool(tmp_path)
    spool.append(b"a" * 50)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write(file, data[:20]))
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(StorageFailed):
            spool.append(b"b" * 50)
        patch.setattr(os, "write", write)
        with pytest.raises(StorageFailed):
            spool.append(b"c" * 50)
    spool.append(b"d" * 50)
    assert contents(spool) == [b"a" * 50, b"d" * 50]
    spool.close()


def test_old_segments_are_synced_and_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill() -> None:
        for _ in range(3):
            spool.append(b"x" * 100)
            spool.rotate()

    synced: list[int] = []
    spool = Spool(tmp_path, segment_bytes=100)
    opened = open_below(tmp_path)
    monkeypatch.setattr(os, "fdatasync", synced.append)
    fill()
    spool.sync()
    assert len(set(synced)) == 4
    fill()
    spool.forget(spool.end)
    assert open_below(tmp_path) == opened
    fill()
    spool.close()
    assert open_below(tmp_path) == 0


def test_what_was_appended_is_there_after_kill_9(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from lockgate.books.spool import Spool
spool = Spool(Path(sys.argv[1]))
n = 0
while True:
    spool.append(b"%d" % n)
    print(n, flush=True)
    n += 1
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 2000:
            break
    process.kill()
    acknowledged = 2000 + len(process.stdout.read().splitlines())
    process.wait()
    process.stdout.close()

    spool = Spool(tmp_path)
    found = [int(content) for content in contents(spool)]
    spool.close()
    assert found == list(range(len(found)))
    assert len(found) >= acknowledged


def test_threads_that_append_while_another_reads_lose_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=4000)
    count, threads = 400, 4

    def write(name: int) -> None:
        for n in range(count):
            spool.append(b"%d %d" % (name, n))

    writers = [threading.Thread(target=write, args=(name,)) for name in range(threads)]
    for writer in writers:
        writer.start()
    found: list[bytes] = []
    position, until = 0, time.monotonic() + 20
    while len(found) < count * threads and time.monotonic() < until:
        if spool.is_full():
            spool.rotate()
        if position == spool.end:
            continue
        records = spool.read(position, limit=50)
        found += [record.content for record in records]
        position = records[-1].end
        spool.forget(position)
    for writer in writers:
        writer.join()
    spool.close()
    assert sorted(found) == sorted(b"%d %d" % (a, n) for a in range(threads) for n in range(count))
