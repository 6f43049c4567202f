"""Opens an index of the store for searching. Everything that is used was verified."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockgate.domain.digest import Digest
from lockgate.domain.search import Passage, Reading
from lockgate.errors import Corrupt
from lockgate.oci.disk import hash_file
from lockgate.oci.kinds.artifact import Artifact, title
from lockgate.oci.kinds.search_index import embedder, passages, reading, require, vectors
from lockgate.oci.layout import Layout

_AGAIN: Final = "pull the release that pins it again, or build the index again"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIndex:
    """What an artifact of the kind `index` holds."""

    embedder: Digest | None
    passages: Sequence[Passage]
    reading: Mapping[str, Reading]
    vectors: Path | None
    """A safetensors file with a row a passage; None if it is searched by words."""


def read_index(layout: Layout, digest: Digest) -> StoredIndex:
    """Open an index.

    Raises:
        Corrupt: a byte of it is wrong, or its parts do not fit together.

    """
    artifact = Artifact(layout, digest)
    for layer in artifact.layers:
        if not artifact.path(layer).exists():
            raise Corrupt(f"`{title(layer)}` of the index {digest} is missing", hint=_AGAIN)
        found, size = hash_file(artifact.path(layer))
        if (found, size) != (layer.digest, layer.size):
            raise Corrupt(
                f"`{title(layer)}` of the index {digest} has {size:,} bytes with the digest "
                f"{found}, expected {layer.size:,} with {layer.digest}",
                hint=_AGAIN,
            )
    require(artifact)
    model = embedder(artifact)
    return StoredIndex(
        embedder=model,
        passages=tuple(passages(artifact)),
        reading=reading(artifact),
        vectors=None if model is None else artifact.path(vectors(artifact)),
    )
