"""A blob that is not complete yet: a file of its full size, and a map of its finished chunks.

The map has one byte a chunk, written after the chunk's bytes: what it says survives `kill -9`. A
power cut may keep the map and lose bytes, so finished chunks are checked again where that is
possible, and the whole is hashed where it is not.
"""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from lockgate.domain.digest import Digest
from lockgate.oci.blobs import Blobs
from lockgate.oci.chunks import CHUNK_BYTES, count, length
from lockgate.oci.disk import storage

_BLOCK: Final = 1 << 20
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


class Partial:
    """Bytes of one blob, at their places. Safe for several threads; its owner holds the lock."""

    def __init__(self, file: FileIO, marks: FileIO, path: Path, size: int) -> None:
        self._file = file
        self._marks = marks
        self._lock = threading.Lock()
        self._done = bytearray(marks.read(count(size)) or b"")
        self.path = path
        self.size = size

    @classmethod
    @contextmanager
    def open(cls, layout: Blobs, digest: Digest, size: int) -> Iterator["Partial"]:
        """Open what an earlier attempt left, or begin.

        Raises:
            StorageFailed: the disk is full or read-only.

        """
        path = layout.ingest / f"{digest.hex}.blob"
        marks = layout.ingest / f"{digest.hex}.map"
        with storage(path):
            if not _continues(path, marks, size):
                layout.require_space(size)
                path.unlink(missing_ok=True)
                marks.write_bytes(bytes(count(size)))
            file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
            with file, FileIO(marks, "r+") as map_file:
                _allocate(file, size)
                yield cls(file, map_file, path, size)

    def missing(self) -> Sequence[int]:
        """Return the chunks that are not finished, in order."""
        return [index for index, done in enumerate(self._done) if done != 1]

    def is_done(self, index: int) -> bool:
        """Say whether a chunk is finished."""
        return self._done[index] == 1

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write bytes of a chunk that is not finished."""
        with storage(self.path):
            view = memoryview(data)
            while view:
                count_ = os.pwrite(self._file.fileno(), view, offset)
                view, offset = view[count_:], offset + count_

    def read(self, index: int) -> Iterator[bytes]:
        """Return the bytes of a chunk, in blocks."""
        start = index * CHUNK_BYTES
        end = start + length(self.size, index)
        while start < end:
            with storage(self.path):
                data = os.pread(self._file.fileno(), min(_BLOCK, end - start), start)
            if not data:
                return  # somebody cut the file: what is compared next will differ
            yield data
            start += len(data)

    def mark(self, index: int, *, done: bool) -> None:
        """Note that a chunk is finished, or that it has to be fetched again."""
        with self._lock, storage(self.path):
            self._done[index] = done
            os.pwrite(self._marks.fileno(), bytes([done]), index)

    def flush(self) -> None:
        """Wait until the bytes are on the disk."""
        with storage(self.path):
            os.fdatasync(self._file.fileno())

    def clear(self) -> None:
        """Begin again."""
        for index in range(len(self._done)):
            self.mark(index, done=False)


def discard(layout: Blobs, digest: Digest, *, all_: bool = True) -> None:
    """Delete what is left of an attempt; the map alone if the blob found its place."""
    if all_:
        layout.discard(layout.ingest / f"{digest.hex}.blob")
    layout.discard(layout.ingest / f"{digest.hex}.map")


def _continues(path: Path, marks: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size and marks.stat().st_size == count(size)
    except FileNotFoundError:
        return False


def _allocate(file: FileIO, size: int) -> None:
    if os.fstat(file.fileno()).st_size == size:
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        os.ftruncate(file.fileno(), size)
