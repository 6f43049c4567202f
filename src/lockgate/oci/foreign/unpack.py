"""Takes the files out of a layer, each as a blob of its own. An archive's headers prove nothing."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from lockgate.oci.disk import storage, writer
from lockgate.oci.foreign.expand import expand
from lockgate.oci.foreign.media_types import Wrapping
from lockgate.oci.foreign.recognise import Part, inner_path
from lockgate.oci.hashing import Hashes, hash_stream
from lockgate.oci.layout import Layout
from lockgate.oci.tar import members

_MOST_FILES: Final = 1024
_EXPANSION: Final = 20
"""Times a compressed layer may grow: weights hardly do, and gzip alone could make it 1,032."""
_SLACK: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A file that is a blob of the store now."""

    path: str
    role: str
    """As its layer says."""
    hashes: Hashes


def unpack_part(layout: Layout, part: Part) -> Iterator[Unpacked]:
    """Yield the files of a layer that is in the store.

    Raises:
        Corrupt: it is no such archive, holds a link, a device or a name that leads out, or grows
            too large.
        Denied: by its name, a file runs code when it is loaded.
        StorageFailed: the disk is full or read-only.

    """
    blob = layout.blob(part.blob.digest)
    if part.path:
        with storage(blob), FileIO(blob) as file:
            found = hash_stream(file, limit=part.blob.size)
        yield Unpacked(path=part.path, role=part.role, hashes=found)
        return
    with _scratch(layout) as scratch:
        packed = part.wrapping is not Wrapping.TAR
        tape = scratch.with_suffix(".tar.tmp") if packed else blob
        try:
            if packed:
                expand(blob, tape, part.wrapping, most=_SLACK + _EXPANSION * part.blob.size)
            with storage(tape), FileIO(tape) as source:
                yield from _files(layout, source, part, scratch)
        finally:
            if packed:
                layout.discard(tape)


def _files(layout: Layout, source: FileIO, part: Part, scratch: Path) -> Iterator[Unpacked]:
    for member in members(source, source.seek(0, 2), most=_MOST_FILES):
        path = inner_path(member.name)
        layout.require_space(member.size)
        source.seek(member.offset)
        try:
            with storage(scratch), FileIO(scratch, "w") as copy:
                found = hash_stream(source, limit=member.size, write=writer(copy))
            layout.adopt(scratch, found.digest)
        finally:
            layout.discard(scratch)
        yield Unpacked(path=path, role=part.role, hashes=found)


@contextmanager
def _scratch(layout: Layout) -> Iterator[Path]:
    """Lend a file name; the lock tells `lockgate store gc` that somebody works on it."""
    name = f"unpack-{os.getpid()}-{threading.get_ident()}"
    with layout.lock(name):
        yield layout.ingest / f"{name}.tmp"
