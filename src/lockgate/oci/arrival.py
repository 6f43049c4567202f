"""Makes one blob be in the store: what is here already is checked, not trusted."""

from io import FileIO
from typing import Final

from blake3 import blake3

from lockgate.domain.artifact import Descriptor
from lockgate.errors import Corrupt
from lockgate.oci.chunks import ChunkTable
from lockgate.oci.disk import storage
from lockgate.oci.hashing import hash_stream
from lockgate.oci.index import BLAKE3
from lockgate.oci.layout import Layout
from lockgate.oci.registry.download import Wanted
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.uploads import Advance

_SMALL: Final = 4 << 20
"""Bytes up to which a blob is fetched into memory."""


def take_in(
    source: Repository,
    layout: Layout,
    blob: Descriptor,
    *,
    table: ChunkTable | None = None,
    table_suffices: bool = False,
    advance: Advance,
) -> bool:
    """Return whether the blob had to be fetched.

    A damaged file of the store is fetched again. Raises as `Downloads.fetch`.
    """
    if layout.has(blob.digest, blob.size):
        if _is_whole(layout, blob):
            advance(blob.size)
            return False
        layout.discard(layout.blob(blob.digest))
    if blob.size <= _SMALL:
        data = source.downloads.read(blob)
        _require_claim(blob, f"blake3:{blake3(data).hexdigest()}")
        layout.put(data)
        advance(blob.size)
        return True
    return source.downloads.fetch(
        Wanted(blob=blob, table=table, table_suffices=table_suffices), advance
    )


def _is_whole(layout: Layout, blob: Descriptor) -> bool:
    """Hash a file of the store by both functions.

    Raises:
        Corrupt: the file is right, and what the manifest says of its BLAKE3 is not.

    """
    path = layout.blob(blob.digest)
    with storage(path), FileIO(path) as file:
        found = hash_stream(file, limit=blob.size + 1)
    if found.digest != blob.digest:
        return False
    _require_claim(blob, found.blake3)
    return True


def _require_claim(blob: Descriptor, found: str) -> None:
    """Compare the second digest once: at rest it then stands for the first one."""
    claimed = blob.annotations.get(BLAKE3, found)
    if claimed != found:
        raise Corrupt(
            f"{blob.digest} has the second digest {found}, its manifest says {claimed[:80]}",
            hint="the manifest is wrong; nothing was kept",
        )
