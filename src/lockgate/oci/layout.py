"""A local OCI image layout: files by digest, and an index that names some of them.

Formats: OCI image-spec 1.1, `image-layout.md` and `image-index.md`. Beside them, `ingest/` holds
what is not complete yet; nothing there is ever read as content.
"""

import errno
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lockgate.domain.artifact import INDEX, Descriptor
from lockgate.domain.digest import Digest, Json, canonical
from lockgate.errors import Corrupt, LockgateError, StorageFailed

CHUNK = 1 << 20
REF_NAME = "org.opencontainers.image.ref.name"
_SMALL = 4 << 20  # OCI distribution-spec: registries need not take manifests over 4 MiB
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class Layout:
    """The store below one folder. Safe for several processes; survives `kill -9` at any point.

    Reading never writes, so a read-only store can be used.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def ingest(self) -> Path:
        """The folder for what is not complete yet; `prepare` makes it."""
        return self._root / "ingest"

    def blob(self, digest: Digest) -> Path:
        """Return where the bytes with that digest are, or would be."""
        return self._root / "blobs" / "sha256" / digest.hex

    def has(self, digest: Digest, size: int) -> bool:
        """Say whether a file of that size stands for the digest. Does not hash."""
        try:
            return self.blob(digest).stat().st_size == size
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _translated(error, self.blob(digest)) from error

    def read(self, digest: Digest) -> bytes:
        """Return a small document.

        Raises:
            Corrupt: it is missing, too large, or does not match its digest.
            StorageFailed: it cannot be read.

        """
        path = self.blob(digest)
        try:
            with path.open("rb") as file:
                data = file.read(_SMALL + 1)
        except FileNotFoundError as error:
            raise Corrupt(f"`{path}` is missing from the store") from error
        except OSError as error:
            raise _translated(error, path) from error
        if len(data) > _SMALL or Digest.of(data) != digest:
            raise Corrupt(f"`{path}` does not match its name")
        return data

    def manifests(self) -> Mapping[str, Descriptor]:
        """Return the named manifests; nothing if there is no store yet.

        Raises:
            Corrupt: the index is not one.

        """
        found: dict[str, Descriptor] = {}
        for entry in self._entries():
            name = _annotation(entry, REF_NAME)
            if name is not None:
                found[name] = _descriptor(entry, self._index_file)
        return found

    def prepare(self) -> None:
        """Make the folders and the marker of the layout.

        Raises:
            StorageFailed: the disk is full or read-only.

        """
        with storage(self._root):
            (self._root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            self.ingest.mkdir(exist_ok=True)
            marker = self._root / "oci-layout"
            if not marker.exists():
                _replace(marker, self.ingest, canonical({"imageLayoutVersion": "1.0.0"}))

    def require_space(self, size: int) -> None:
        """Refuse to begin what cannot end.

        Raises:
            StorageFailed: fewer than `size` bytes are free.

        """
        with storage(self._root):
            state = os.statvfs(self._root)
        free = state.f_bavail * state.f_frsize
        if free < size:
            raise StorageFailed(
                f"`{self._root}` has {free:,} bytes free, {size:,} are needed", hint=_SPACE_HINT
            )

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Wait until no other process holds the lock, and hold it.

        The lock file goes away with the last holder; who waited on a file that is gone takes the
        new one.

        Raises:
            StorageFailed: the file system cannot lock, or is read-only.

        """
        path = self.ingest / f"{name}.lock"
        with storage(path):
            file = _locked(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            file.close()

    def put(self, data: bytes) -> Digest:
        """Store a small document. Durable when it returns."""
        digest = Digest.of(data)
        if not self.has(digest, len(data)):
            with storage(self.blob(digest)):
                _replace(self.blob(digest), self.ingest, data, mode=0o444)
        return digest

    def adopt(self, path: Path, digest: Digest) -> None:
        """Move a file of `ingest/` that is known to match `digest` to its place. Durable."""
        target = self.blob(digest)
        with storage(target):
            path.chmod(0o444)
            _sync(path)
            path.replace(target)
            _sync(target.parent)

    def name(self, name: str, manifest: Descriptor) -> bool:
        """Let `name` stand for `manifest`. Return False if a blob of it is missing.

        The check and the naming are one step under the lock that `forget` holds too: a manifest
        never becomes visible without its files.
        """
        with self.lock("index"):
            needed = _references(json.loads(self.read(manifest.digest)))
            if not all(self.blob(digest).exists() for digest in needed):
                return False
            entry: dict[str, Json] = {
                "mediaType": manifest.media_type,
                "digest": str(manifest.digest),
                "size": manifest.size,
                "annotations": {REF_NAME: name},
            }
            gone, kept = self._parted(name)
            self._write_index([*kept, entry])
            self._sweep(gone, [*kept, entry])
        return True

    def forget(self, name: str) -> int:
        """Take a name away, and the files that no other manifest uses. Return the bytes freed."""
        with self.lock("index"):
            gone, kept = self._parted(name)
            # The index first: a crash in between leaves unused files, not a broken model.
            self._write_index(kept)
            return self._sweep(gone, kept)

    def discard(self, path: Path) -> int:
        """Delete a file of the store that is damaged or unfinished. Return the bytes freed."""
        with storage(path):
            if not path.exists():
                return 0
            size = path.stat().st_size
            path.unlink()
            return size

    @property
    def _index_file(self) -> Path:
        return self._root / "index.json"

    def _entries(self) -> list[dict[str, Any]]:
        try:
            data = self._index_file.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _translated(error, self._index_file) from error
        try:
            entries = json.loads(data)["manifests"]
        except (ValueError, TypeError, KeyError) as error:
            raise _broken(self._index_file) from error
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise _broken(self._index_file)
        return entries

    def _write_index(self, entries: Iterable[Json]) -> None:
        index: Json = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}
        with storage(self._index_file):
            _replace(self._index_file, self.ingest, canonical(index))

    def _parted(self, name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        entries = self._entries()
        gone = [entry for entry in entries if _annotation(entry, REF_NAME) == name]
        return gone, [entry for entry in entries if _annotation(entry, REF_NAME) != name]

    def _sweep(self, gone: Iterable[Mapping[str, Any]], kept: Iterable[Mapping[str, Any]]) -> int:
        used, unused = self._closure(kept), self._closure(gone)
        if used is None or unused is None:
            return 0  # better some bytes too many than a file that another model needs
        return sum(self.discard(self.blob(digest)) for digest in sorted(unused - used))

    def _closure(self, entries: Iterable[Mapping[str, Any]]) -> set[Digest] | None:
        """Return everything that the manifests lead to; None if that cannot be known."""
        found: set[Digest] = set()
        for entry in entries:
            try:
                digest = _descriptor(entry, self._index_file).digest
                found |= {digest, *_references(json.loads(self.read(digest)))}
            except (Corrupt, ValueError):
                return None
        return found


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
        raise _translated(error, path) from error


_SPACE_HINT = "free some space, or set `LOCKGATE_DATA_DIR` to a folder with more of it"


def _translated(error: OSError, path: Path) -> LockgateError:
    reason = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        return StorageFailed(f"`{path}` cannot be written: {reason}", hint=_SPACE_HINT)
    if error.errno in _REFUSED:
        return StorageFailed(
            f"`{path}` cannot be used: {reason}",
            hint="change its permissions, or set `LOCKGATE_DATA_DIR` to a folder of yours",
        )
    return StorageFailed(f"`{path}`: {reason}", hint="see `lockgate doctor`")


def _broken(path: Path) -> Corrupt:
    return Corrupt(
        f"`{path}` is not an OCI image index",
        hint="move it away and pull again: files that are there already are not fetched again",
    )


def _annotation(entry: Mapping[str, Any], key: str) -> str | None:
    annotations = entry.get("annotations")
    value = annotations.get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else None


def _descriptor(entry: Mapping[str, Any], path: Path) -> Descriptor:
    media_type, digest, size = (entry.get(k) for k in ("mediaType", "digest", "size"))
    try:
        if isinstance(media_type, str) and isinstance(digest, str) and isinstance(size, int):
            return Descriptor(media_type=media_type, digest=Digest.parse(digest), size=size)
    except LockgateError as error:
        raise _broken(path) from error
    raise _broken(path)


def _references(value: object) -> set[Digest]:
    """Return the digests of all descriptors in a manifest or an index, at any depth."""
    found: set[Digest] = set()
    pending = [value]
    while pending:
        at = pending.pop()
        if isinstance(at, list):
            pending.extend(at)
        elif isinstance(at, dict):
            pending.extend(at.values())
            digest = at.get("digest")
            if isinstance(digest, str) and digest.startswith("sha256:") and "size" in at:
                found.add(Digest.parse(digest))
    return found


def _locked(path: Path) -> BinaryIO:
    while True:
        file = path.open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _same(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _replace(target: Path, ingest: Path, data: bytes, *, mode: int = 0o644) -> None:
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
    _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
