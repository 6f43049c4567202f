"""Files that survive a crash, locks between processes, and what a disk's refusal means."""

import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

from lockgate.domain.digest import Digest
from lockgate.errors import LockgateError, StorageFailed

CHUNK: Final = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def hash_file(path: Path) -> tuple[Digest, int]:
    """Return the digest and the size of a file, in bounded memory.

    Raises:
        StorageFailed: it cannot be read.

    """
    hasher, size = hashlib.sha256(), 0
    with storage(path), path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
            size += len(chunk)
    return Digest(hasher.hexdigest()), size


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into StorageFailed."""
    try:
        yield
    except OSError as error:
        raise translated(error, path) from error


SPACE_HINT = "free some space, or set `LOCKGATE_DATA_DIR` to a folder with more of it"


def translated(error: OSError, path: Path) -> LockgateError:
    """Return what a person can do about an error of the operating system."""
    reason = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        return StorageFailed(f"`{path}` cannot be written: {reason}", hint=SPACE_HINT)
    if error.errno in _REFUSED:
        return StorageFailed(
            f"`{path}` cannot be used: {reason}",
            hint="change its permissions, or set `LOCKGATE_DATA_DIR` to a folder of yours",
        )
    return StorageFailed(f"`{path}`: {reason}", hint="see `lockgate doctor`")


def locked(path: Path) -> BinaryIO:
    """Wait for the lock of `path`, made if need be. Delete the file, then close it, to let go."""
    while True:
        file = _lock(path, fcntl.LOCK_EX)
        if file is not None:
            return file


def locked_now(path: Path) -> BinaryIO | None:
    """Take the lock of `path` as `locked` does, or return None if another process holds it."""
    try:
        return _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None


def _lock(path: Path, how: int) -> BinaryIO | None:
    """Return None if the file that was locked is not the one at `path` any more."""
    file = path.open("wb")
    try:
        fcntl.flock(file, how)
        if _same(file, path):
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def _same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def replace_file(target: Path, ingest: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Make `target` hold `data`, at once and durably; `ingest` is on the same file system."""
    partial = ingest / f"{target.name}.{os.getpid()}-{threading.get_ident()}"
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(mode)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(target.parent)


def writer(file: FileIO) -> Callable[[memoryview], None]:
    """Return a function that writes all of a block: the system call may stop early."""

    def write(block: memoryview) -> None:
        while block:
            block = block[file.write(block) :]

    return write


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
