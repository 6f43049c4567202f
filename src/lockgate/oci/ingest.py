"""Takes a file of this machine into the store, reading it once or not at all.

The bytes come by reflink (`FICLONE`, ioctl_ficlone(2)) where the file system shares extents, or as
a hard link where the caller asks for one, or as a copy that is hashed while it is written.
"""

import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from io import FileIO
from pathlib import Path
from typing import Final

from lockgate.domain.digest import Digest
from lockgate.errors import NotFound, UsageError
from lockgate.oci.chunks import MAX_BLOB_BYTES, ChunkTable
from lockgate.oci.digest_cache import DigestCache
from lockgate.oci.disk import storage, writer
from lockgate.oci.hashing import Hashes, hash_stream
from lockgate.oci.layout import Layout

TABLED_ABOVE: Final = 64 << 20
"""Bytes above which a blob has a chunk table: below, fetching it again costs less."""
DIGESTS: Final = "digests.sqlite"
"""The cache, beside `index.json`. It may be deleted."""
_FICLONE: Final = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)


class Way(StrEnum):
    """How a file's bytes came into the store."""

    KNOWN = "known"
    """They were there, and neither they nor the file changed since: nothing was read."""
    CLONED = "cloned"
    LINKED = "linked"
    COPIED = "copied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """A file that is in the store now."""

    digest: Digest
    size: int
    blake3: str
    """`blake3:<64 hex digits>`."""
    chunks: ChunkTable | None
    """None for 64 MiB and less, and for more than a table can be of."""
    way: Way


def ingest_file(
    layout: Layout,
    path: Path,
    *,
    link: bool = False,
    advance: Callable[[int], None] | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> Ingested:
    """Make the bytes of `path` a blob of the store; durable when it returns.

    With `link`, the blob and the file are one, and the file becomes read-only: whoever writes to
    it all the same damages the store, which `lockgate store verify` finds. A file of another
    owner or another file system is copied.

    Raises:
        NotFound: there is no such file.
        UsageError: it is not a file, or it changed while it was read.
        StorageFailed: it cannot be read, or the disk is full or read-only.

    """
    digests = DigestCache(layout.root / DIGESTS)
    with _open(path) as source:
        layout.prepare()
        before = os.fstat(source.fileno())
        known = digests.get(before)
        if known is not None and _whole(layout, digests, known.digest):
            return _result(known, Way.KNOWN)
        name = f"ingest-{os.getpid()}-{threading.get_ident()}"
        partial = layout.ingest / f"{name}.tmp"
        # The lock tells `lockgate store gc` that somebody still works on the file.
        with layout.lock(name):
            try:
                layout.discard(partial)
                way = _share(source, path, partial, link=link)
                if way is Way.COPIED:
                    layout.require_space(before.st_size)
                hashes = _fill(source, partial, way, advance)
                _require_unchanged(path, before, os.fstat(source.fileno()))
                layout.adopt(partial, hashes.digest)
            except BaseException:
                layout.discard(partial)
                raise
        after = os.fstat(source.fileno())
    digests.put(after, hashes, now_ns=clock())
    if way is not Way.LINKED:
        with suppress(FileNotFoundError):  # nothing leads to it yet, so another may collect it
            digests.put(layout.blob(hashes.digest).stat(), hashes)
    return _result(hashes, way)


def _open(path: Path) -> FileIO:
    try:
        # Opening a pipe would wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(f"`{path}` does not exist") from error
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {(error.strerror or '').lower()}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UsageError(f"`{path}` is not a regular file", hint="give the path of a file")
    return FileIO(handle, "r")


def _share(source: FileIO, path: Path, partial: Path, *, link: bool) -> Way:
    """Make `partial` the same bytes without copying, if that can be."""
    state = os.fstat(source.fileno())
    if link and state.st_uid == os.geteuid():
        try:
            os.link(path.resolve(), partial)
            if os.path.samestat(partial.stat(), state):
                partial.chmod(0o444)
                return Way.LINKED
            partial.unlink()
        except OSError:
            partial.unlink(missing_ok=True)  # another file system, or one without links
    with storage(partial), partial.open("xb") as target:
        try:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        except OSError:
            return Way.COPIED  # ext4 and tmpfs cannot; a full disk shows when it is copied
    return Way.CLONED


def _fill(source: FileIO, partial: Path, way: Way, advance: Callable[[int], None] | None) -> Hashes:
    # One byte more than there was: enough to see that the file grows, however fast.
    limit = os.fstat(source.fileno()).st_size + 1
    with storage(partial):
        if way is not Way.COPIED:
            with FileIO(partial) as shared:
                return hash_stream(shared, limit=limit, advance=advance)
        with FileIO(partial, "r+") as copy:
            return hash_stream(source, limit=limit, write=writer(copy), advance=advance)


def _require_unchanged(path: Path, before: os.stat_result, after: os.stat_result) -> None:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UsageError(
            f"`{path}` changed while it was read: {before.st_size:,} bytes before, "
            f"{after.st_size:,} after",
            hint="wait until nothing writes to it, and run the same command again",
        )


def _whole(layout: Layout, digests: DigestCache, digest: Digest) -> bool:
    """Say whether the blob is as it was when its bytes were hashed."""
    try:
        state = layout.blob(digest).stat()
    except OSError:
        return False
    known = digests.get(state)
    return known is not None and known.digest == digest


def _result(hashes: Hashes, way: Way) -> Ingested:
    tabled = TABLED_ABOVE < hashes.size <= MAX_BLOB_BYTES
    return Ingested(
        digest=hashes.digest,
        size=hashes.size,
        blake3=hashes.blake3,
        chunks=ChunkTable.of(hashes.size, hashes.chunks) if tabled else None,
        way=way,
    )
