"""Small files that are whole at any moment, written by one process at a time."""

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lockgate.errors import StorageFailed


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Make the folder and keep other processes from writing to it.

    Raises:
        StorageFailed: it cannot be written, or something in the block cannot.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
    except OSError as error:
        raise failed(folder, error) from error


def put(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file in one step, to the disk. Call it under the lock: its partial file is ours.

    Raises:
        OSError: the disk is full or read-only; the old file is as it was.

    """
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def take(path: Path, limit: int) -> bytes | None:
    """Return a file's first `limit` + 1 bytes; None if there is no file.

    Raises:
        StorageFailed: it cannot be read.

    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed(path, error) from error


def failed(path: Path, error: OSError) -> StorageFailed:
    """Say what the system said of a path."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return StorageFailed(
        f"`{path}`: {(error.strerror or str(error)).lower()}",
        hint="free some space, and run it again"
        if full
        else "change its permissions, or set `LOCKGATE_DATA_DIR` to a folder of yours",
    )
