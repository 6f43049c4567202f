"""The view that container runtimes mount: an image of one layer, with the files in `models/`.

Formats: OCI image-spec 1.1 `config.md` and `layer.md`. The layer is not compressed, and each file
begins on a page: a file system that shares extents can clone it out of the archive.
"""

import os
import threading
from io import FileIO
from typing import Final

from lockgate.domain.artifact import Descriptor
from lockgate.domain.digest import Digest, Json
from lockgate.errors import Corrupt, UsageError
from lockgate.oci.disk import storage, writer
from lockgate.oci.hashing import hash_stream
from lockgate.oci.tar import end, header, padding
from lockgate.oci.views.view import Primary, derived

_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_FOLDER: Final = "models/"
_PATH: Final = "org.cncf.model.filepath"
_LONGEST: Final = 100 - len("PaxHeaders/") - len(_FOLDER)
_SLACK: Final = 16 << 10
"""Bytes that headers and padding of a member take at most."""


def image(primary: Primary) -> bytes:
    """Return the manifest of the image, whose layer is written now, in constant memory.

    Raises:
        UsageError: a file's path does not fit into the archive.
        Corrupt: a file does not match its digest.
        StorageFailed: the disk is full or read-only.

    """
    digest, size = _write(primary)
    layer = Descriptor(media_type=_LAYER, digest=digest, size=size)
    config: dict[str, Json] = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [str(digest)]},
    }
    return derived(primary, (_CONFIG, config, (layer,)))


def _write(primary: Primary) -> tuple[Digest, int]:
    layout, layers = primary.layout, primary.manifest.layers
    layout.require_space(sum(layer.size + _SLACK for layer in layers))
    name = f"image-{os.getpid()}-{threading.get_ident()}"
    scratch = layout.ingest / f"{name}.tmp"
    with layout.lock(name):
        try:
            with storage(scratch), FileIO(scratch, "w") as tape:
                offset = 0
                for layer in layers:
                    offset += _append(primary, layer, tape, offset)
                writer(tape)(memoryview(end()))
            with storage(scratch), FileIO(scratch) as made:
                found = hash_stream(made, limit=offset + len(end()) + 1)
            layout.adopt(scratch, found.digest)
        finally:
            layout.discard(scratch)
    return found.digest, found.size


def _append(primary: Primary, layer: Descriptor, tape: FileIO, offset: int) -> int:
    """Write a file's header, bytes and padding; return how many bytes that were."""
    path = layer.annotations.get(_PATH, layer.digest.hex)
    if len(path) > _LONGEST or not path.isascii():
        raise UsageError(
            f"`{path[:120]}` has {len(path)} characters, at most {_LONGEST} of ASCII fit",
            hint="pack the file under a shorter name",
        )
    write = writer(tape)
    head = header(_FOLDER + path, layer.size, offset)
    write(memoryview(head))
    blob = primary.layout.blob(layer.digest)
    with FileIO(blob) as source:
        found = hash_stream(source, limit=layer.size + 1, write=write)
    if (found.digest, found.size) != (layer.digest, layer.size):
        raise Corrupt(
            f"`{blob}` has the digest {found.digest}, expected {layer.digest}",
            hint="lockgate store verify",
        )
    write(memoryview(padding(layer.size)))
    return len(head) + layer.size + len(padding(layer.size))
