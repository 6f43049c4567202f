"""Remembers what files hash to, so that a file that did not change is not read again.

The key is what a change cannot leave alone: device, inode, size, and both times in nanoseconds.
Nobody can set a file's `ctime`. What the cache cannot see is rot on the disk: `lockgate store
verify` reads every byte.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lockgate.domain.digest import Digest
from lockgate.oci.chunks import count
from lockgate.oci.hashing import Hashes

_MOST_ROWS: Final = 4096
_HASH_BYTES: Final = 32
_WAIT_S: Final = 2.0
_SETTLED_NS: Final = 2_000_000_000
"""A file that was written this shortly before may be written again within the same tick of its
times: git calls such an entry racy, `Documentation/technical/racy-git.txt`."""

_CREATE: Final = """
CREATE TABLE IF NOT EXISTS digests (
    device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    sha256 TEXT NOT NULL, blake3 TEXT NOT NULL, chunks BLOB NOT NULL,
    PRIMARY KEY (device, inode)
)"""
_FIND: Final = """
SELECT sha256, blake3, chunks FROM digests
WHERE device = ? AND inode = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ?"""
_KEEP: Final = "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_TRIM: Final = """
DELETE FROM digests WHERE rowid <= (SELECT max(rowid) FROM digests) - ?"""


class DigestCache:
    """A small SQLite file. It may be deleted, damaged or locked: then files are read again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, state: os.stat_result) -> Hashes | None:
        """Return what a file in that state was found to hash to; None if that is not known."""
        row: tuple[str, str, bytes] | None = None
        with suppress(sqlite3.Error, OSError):
            if self._path.exists():
                with self._open() as database:
                    row = database.execute(_FIND, _key(state)).fetchone()
        if row is None:
            return None
        sha256, blake3, chunks = row
        if len(chunks) != _HASH_BYTES * count(state.st_size):
            return None
        with suppress(ValueError, TypeError):
            return Hashes(
                digest=Digest(sha256),
                size=state.st_size,
                blake3=blake3,
                chunks=tuple(
                    chunks[at : at + _HASH_BYTES] for at in range(0, len(chunks), _HASH_BYTES)
                ),
            )
        return None

    def put(self, state: os.stat_result, hashes: Hashes, *, now_ns: int | None = None) -> None:
        """Remember. Does nothing for a file that changed just before `now_ns`, if given.

        Without it, the file is one that nobody writes to: a blob of the store.
        """
        if now_ns is not None and now_ns - max(state.st_mtime_ns, state.st_ctime_ns) < _SETTLED_NS:
            return
        row = (*_key(state), hashes.digest.hex, hashes.blake3, b"".join(hashes.chunks))
        with suppress(sqlite3.Error, OSError):
            try:
                self._write(row)
            except sqlite3.OperationalError:
                return  # locked, or the disk is full or read-only
            except sqlite3.DatabaseError:
                self._path.unlink()  # damaged: start again
                self._write(row)

    def _write(self, row: tuple[int | str | bytes, ...]) -> None:
        with self._open() as database:
            database.execute(_CREATE)
            database.execute(_KEEP, row)
            database.execute(_TRIM, (_MOST_ROWS,))
            database.commit()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=_WAIT_S)
        try:
            yield database
        finally:
            database.close()


def _key(state: os.stat_result) -> tuple[int, int, int, int, int]:
    return (
        _signed(state.st_dev),
        _signed(state.st_ino),
        state.st_size,
        state.st_mtime_ns,
        state.st_ctime_ns,
    )


def _signed(number: int) -> int:
    """SQLite's integers have a sign, the kernel's have none."""
    return number - (1 << 64) if number >= 1 << 63 else number
