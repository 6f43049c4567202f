"""Where an upload goes on that a process did not live to finish.

An upload's address is the registry's secret between it and us: the file is for its owner alone.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from lockgate.domain.digest import Digest, canonical
from lockgate.errors import StorageFailed
from lockgate.oci.blobs import Blobs
from lockgate.oci.disk import locked_now, replace_file, storage

_LONGEST: Final = 16 << 10
_PLACE_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The note on one blob's upload to one repository. Its owner holds a lock."""

    path: Path
    ingest: Path
    size: int

    def read(self) -> tuple[str, int]:
        """Return the address and the piece that an earlier process noted; empty if none did."""
        try:
            with self.path.open("rb") as file:
                said = json.loads(file.read(_LONGEST))
            address, piece, size = said["address"], said["piece"], said["size"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return "", 0  # as if there was none: the upload begins again
        usable = isinstance(address, str) and isinstance(piece, int) and piece > 0
        return (address, piece) if usable and size == self.size else ("", 0)

    def note(self, address: str, piece: int) -> None:
        """Keep an address, if the disk takes it: an upload does not fail for want of a note."""
        data = canonical({"address": address, "piece": piece, "size": self.size})
        with suppress(StorageFailed), storage(self.path):
            replace_file(self.path, self.ingest, data, mode=0o600)

    def forget(self) -> None:
        """Drop the note: the upload ended, or is of no use any more."""
        with storage(self.path):
            self.path.unlink(missing_ok=True)


class Journal:
    """Notes on the uploads to one repository, beside the store."""

    def __init__(self, layout: Blobs, place: str) -> None:
        self._layout = layout
        self._place = sha256(place.encode()).hexdigest()[:_PLACE_DIGITS]

    @contextmanager
    def slot(self, digest: Digest, size: int) -> Iterator[Slot | None]:
        """Lend the note on a blob; None if another process uploads it there right now.

        A store that is read-only has no notes either.
        """
        ingest = self._layout.ingest
        name = f"{digest.hex}-{self._place}"
        lock = ingest / f"{name}.lock"
        held = None
        with suppress(StorageFailed):
            self._layout.prepare()
            with storage(lock):
                held = locked_now(lock)
        if held is None:
            yield None
            return
        try:
            yield Slot(path=ingest / f"{name}.upload", ingest=ingest, size=size)
        finally:
            lock.unlink(missing_ok=True)
            held.close()
