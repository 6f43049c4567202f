"""An append-only queue on the local disk, between calls and the database.

A record is written by one `write` before its call is answered, so it outlives the death of the
process at any moment. It outlives a power cut once it is in the database, or once `sync` ran,
which the writer does while the database is behind.

Folder: `lock` (held by the living owner), `boot` (the boot of the machine that wrote it), and
segments named by the position of their first byte. A record is its length, a CRC-32 over its
position and content, and the content.
"""

import fcntl
import os
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from lockgate.errors import Corrupt, StorageFailed

SEGMENT_BYTES: Final = 4 << 20
_READ_BYTES: Final = 256 << 10
MAX_RECORD_BYTES: Final = 16 << 20
_FRAME: Final = struct.Struct(">II")
_POSITION: Final = struct.Struct(">Q")
_SUFFIX: Final = ".spool"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Record(NamedTuple):
    """A record, and the position after it."""

    content: bytes
    end: int


class Spool:
    """One process' records. Opening a folder that a living process holds is refused.

    `append` may be called from several threads; `read`, `forget` and `sync` from one other.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open a folder, or make it.

        Raises:
            StorageFailed: it cannot be, or another process holds it.
            Corrupt: it is damaged in the middle; a record that was cut off at the end is dropped.

        """
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._writing = threading.Lock()
        self._file = -1
        self._synced = 0
        self._torn = False
        """Whether a part of a record may stand at the end, which could not be cut off."""
        self._unsynced: list[int] = []
        """Older segments that the next `sync` is for, too."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _locked(folder / "lock")
            try:
                self.same_boot = _same_boot(folder / "boot")
                self._starts = _starts(folder)
                self.end = self._recover()
                self._open(self._starts[-1])
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise _failed(folder, error) from error

    @classmethod
    def create(cls, root: Path, name: str) -> "Spool":
        """Make a new one below `root`. It has its name only once it is locked.

        Raises:
            StorageFailed: it cannot be made.

        """
        made = cls(root / f".{name}")
        try:
            made._folder = made._folder.rename(root / name)
        except OSError as error:
            made.close()
            raise _failed(root / name, error) from error
        return made

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self._folder.name

    @property
    def start(self) -> int:
        """The position of the oldest record that is kept."""
        return self._starts[0]

    def append(self, content: bytes) -> None:
        """Write one record.

        Raises:
            StorageFailed: the disk is full or fails; nothing of the record is left.

        """
        if len(content) > MAX_RECORD_BYTES:
            raise _too_large(content)
        with self._writing:
            self._write(_frame(content, self.end))

    def append_all(self, contents: Sequence[bytes]) -> None:
        """Write records with one call of the system: all of them, or none.

        Raises:
            StorageFailed: the disk is full or fails; nothing of the records is left.

        """
        for content in contents:
            if len(content) > MAX_RECORD_BYTES:
                raise _too_large(content)
        with self._writing:
            frames: list[bytes] = []
            end = self.end
            for content in contents:
                frame = _frame(content, end)
                frames.append(frame)
                end += len(frame)
            self._write(b"".join(frames))

    def _write(self, data: bytes) -> None:
        try:
            if self._torn:
                os.ftruncate(self._file, self.end - self._starts[-1])
                self._torn = False
            written = os.write(self._file, data)
            if written != len(data):
                self._torn = True
                os.ftruncate(self._file, self.end - self._starts[-1])
                self._torn = False
                raise StorageFailed(
                    f"`{self._folder}` is full", hint="free some space for the usage spool"
                )
        except OSError as error:
            raise _failed(self._folder, error) from error
        self.end += len(data)

    def is_full(self) -> bool:
        """Say whether it is time to `rotate`."""
        return self.end - self._starts[-1] >= self._segment_bytes

    def rotate(self) -> None:
        """Begin a new segment, so that the old ones can be forgotten when they are read."""
        with self._writing:
            old = self._file
            try:
                self._open(self.end)
            except OSError as error:
                raise _failed(self._folder, error) from error
            self._starts.append(self.end)
            self._unsynced.append(old)

    def read(self, after: int, *, limit: int) -> Sequence[Record]:
        """Return records from a position that is between two of them.

        Raises:
            Corrupt: what is there is not what was written.
            StorageFailed: it cannot be read.

        """
        end = self.end  # before the bytes: what is written meanwhile is for the next time
        segment = max(start for start in self._starts if start <= after)
        path = self._folder / f"{segment:020}{_SUFFIX}"
        following = [start for start in self._starts if start > segment]
        if following and after == following[0]:
            return self.read(after, limit=limit)
        until = following[0] if following else end
        try:
            with path.open("rb") as file:
                file.seek(after - segment)
                data = file.read(min(until - after, _READ_BYTES))
                found = _records(data, after, limit)
                if not found:
                    data += file.read(min(until - after, MAX_RECORD_BYTES + _FRAME.size))
                    found = _records(data, after, limit)
        except OSError as error:
            raise _failed(self._folder, error) from error
        if not found and after < until:
            raise Corrupt(f"`{path}` is damaged at byte {after - segment}", hint=_KEEP)
        return found

    def forget(self, before: int) -> None:
        """Delete the segments that end at or before a position.

        Raises:
            StorageFailed: the disk does not let them go.

        """
        while len(self._starts) > 1 and self._starts[1] <= before:
            try:
                (self._folder / f"{self._starts[0]:020}{_SUFFIX}").unlink(missing_ok=True)
            except OSError as error:
                raise _failed(self._folder, error) from error
            self._starts.pop(0)
        while len(self._unsynced) >= len(self._starts):
            os.close(self._unsynced.pop(0))

    def sync(self) -> None:
        """Wait until what is written would outlive a power cut.

        Raises:
            StorageFailed: the disk fails.

        """
        if self._synced == self.end:
            return
        end = self.end
        try:
            while self._unsynced:
                os.fdatasync(self._unsynced[0])
                os.close(self._unsynced.pop(0))
            os.fdatasync(self._file)
        except OSError as error:
            raise _failed(self._folder, error) from error
        self._synced = end

    def close(self, *, remove: bool = False) -> None:
        """Let go of the folder, and delete it with `remove`."""
        if remove:
            for path in self._folder.iterdir():
                path.unlink()
            self._folder.rmdir()
        for file in (*self._unsynced, self._file, self._lock):
            os.close(file)

    def _open(self, start: int) -> None:
        path = self._folder / f"{start:020}{_SUFFIX}"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _recover(self) -> int:
        """Cut off a record that a death left unfinished, and return where the spool ends."""
        last = self._folder / f"{self._starts[-1]:020}{_SUFFIX}"
        if not last.exists():
            return self._starts[-1]
        data = last.read_bytes()
        found = _records(data, self._starts[-1], len(data))
        end = found[-1].end if found else self._starts[-1]
        size = end - self._starts[-1]
        if size < len(data):
            # One `write` was cut short: nothing whole can follow it. If something does, it is no
            # torn tail, and cutting it off would lose records.
            if _unfinished(data[size:], end):
                os.truncate(last, size)
            else:
                raise Corrupt(f"`{last}` is damaged at byte {size}", hint=_KEEP)
        return end


_KEEP: Final = (
    "keep the folder: its budgets stay lent until its records are repaired or written off"
)


def _frame(content: bytes, position: int) -> bytes:
    check = crc32(content, crc32(_POSITION.pack(position)))
    return _FRAME.pack(len(content), check) + content


def _too_large(content: bytes) -> StorageFailed:
    return StorageFailed(
        f"a record of {len(content)} bytes is too large for the usage spool, "
        f"the most is {MAX_RECORD_BYTES}"
    )


def _records(data: bytes, position: int, limit: int) -> list[Record]:
    """Return the whole records at the beginning of `data`."""
    found: list[Record] = []
    start, last = 0, len(data) - _FRAME.size
    while start <= last and len(found) < limit:
        length, check = _FRAME.unpack_from(data, start)
        begin = start + _FRAME.size
        end = begin + length
        content = data[begin:end]
        if len(content) != length or length > MAX_RECORD_BYTES:
            break
        if crc32(content, crc32(_POSITION.pack(position + start))) != check:
            break
        start = end
        found.append(Record(content, position + end))
    return found


def _unfinished(rest: bytes, position: int) -> bool:
    if len(rest) >= _FRAME.size:
        length, _ = _FRAME.unpack_from(rest)
        if not len(rest) < _FRAME.size + length <= _FRAME.size + MAX_RECORD_BYTES:
            return False
    # A length that was damaged looks like a cut, but then whole records follow.
    return not any(
        _records(rest[at : at + _FRAME.size + _length(rest, at)], position + at, 1)
        for at in range(1, len(rest) - _FRAME.size + 1)
        if _length(rest, at) <= len(rest) - at - _FRAME.size
    )


def _length(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # The kernel lets go of it when the process dies, however it dies.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between `open` and `flock` the owner may have removed the folder.
        if os.fstat(file).st_nlink == 0:
            raise FileNotFoundError(None, "removed meanwhile")
    except OSError:
        os.close(file)
        raise
    return file


def _same_boot(path: Path) -> bool:
    """Say whether the machine has run since the folder was made; note it in a new one."""
    current = _BOOT_ID.read_text("ascii") if _BOOT_ID.exists() else "?"
    if not path.exists():
        path.write_text(current, "ascii")
    return path.read_text("ascii") == current != "?"


def _starts(folder: Path) -> list[int]:
    names = [path.stem for path in folder.iterdir() if path.suffix == _SUFFIX]
    return sorted(int(name) for name in names if name.isdecimal()) or [0]


def _failed(folder: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"the usage spool `{folder}` failed: {error.strerror}",
        hint="it needs a local disk with space, and one process at a time",
    )
