"""Files by digest in one folder, and the locks between the processes that use it.

Format: OCI image-spec 1.1, `image-layout.md`. Beside the files, `ingest/` holds what is not
complete yet; nothing there is ever read as content.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lockgate.domain.digest import Digest, canonical
from lockgate.errors import Corrupt, StorageFailed
from lockgate.oci.disk import SPACE_HINT, locked, replace_file, storage, sync, translated

_SMALL = 4 << 20  # OCI distribution-spec: registries need not take manifests over 4 MiB


class Blobs:
    """The files below one folder. Safe for several processes; survives `kill -9` at any point.

    Reading never writes, so a read-only store can be used.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """The folder of the layout."""
        return self._root

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
            raise translated(error, self.blob(digest)) from error

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
            raise translated(error, path) from error
        if len(data) > _SMALL or Digest.of(data) != digest:
            raise Corrupt(f"`{path}` does not match its name")
        return data

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
                replace_file(marker, self.ingest, canonical({"imageLayoutVersion": "1.0.0"}))

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
                f"`{self._root}` has {free:,} bytes free, {size:,} are needed", hint=SPACE_HINT
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
            file = locked(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            file.close()

    def put(self, data: bytes) -> Digest:
        """Store a small document. Durable when it returns; a damaged copy is replaced."""
        digest = Digest.of(data)
        path = self.blob(digest)
        with storage(path):
            if not _holds(path, data):
                replace_file(path, self.ingest, data, mode=0o444)
        return digest

    def adopt(self, path: Path, digest: Digest) -> None:
        """Move a file of `ingest/` that is known to match `digest` to its place. Durable."""
        target = self.blob(digest)
        with storage(target):
            path.chmod(0o444)
            sync(path)
            path.replace(target)
            sync(target.parent)

    def blobs(self) -> Sequence[Path]:
        """Return every file among the blobs, by name; nothing if there is no store yet."""
        folder = self._root / "blobs" / "sha256"
        with storage(folder):
            return sorted(folder.iterdir()) if folder.exists() else []

    def discard(self, path: Path) -> int:
        """Delete a file of the store that is damaged or unfinished. Return the bytes freed."""
        with storage(path):
            try:
                size = path.lstat().st_size
                path.unlink()
            except FileNotFoundError:
                return 0
            return size


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False
