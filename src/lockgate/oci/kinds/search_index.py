"""Snapshots of a search index: chunks, their vectors, and the model that made these."""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lockgate.domain.artifact import Descriptor, Kind
from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.domain.predicates.fields import Fields
from lockgate.domain.search import Passage, Reading
from lockgate.errors import Corrupt
from lockgate.oci.headers.safetensors import read_header
from lockgate.oci.kinds.artifact import API_VERSION, Artifact, digest_of, title
from lockgate.oci.kinds.dataset import require_object, require_rows
from lockgate.oci.kinds.merkle import merkle_root
from lockgate.oci.kinds.packed import DATASET, File, PackedArtifact, pack

EXACT: Final = "exact"
"""Every vector is compared."""
BM25: Final = "bm25"
"""Words alone: no vectors, and no model."""
_FLOAT_BYTES: Final = 4
_MOST_DIMENSIONS: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDocument:
    """A document that the index was made of."""

    id: str
    digest: Digest
    revision: str = ""
    classification: str = ""
    """Label of its data class."""
    readers: tuple[str, ...] | None = None
    """Names of callers, or beginnings such as `hr/*`. None is everybody, () nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document: what a search finds."""

    id: str
    document: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """The model that made the vectors."""

    digest: Digest
    """Of its manifest."""
    pooling: str = "mean"
    normalize: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """The vectors of all chunks, in their order, and what made them."""

    embedder: Embedder
    vectors: tuple[bytes, ...]
    """Little-endian float32 values."""


def pack_index(
    name: str,
    documents: Sequence[SourceDocument],
    chunks: Sequence[Chunk],
    *,
    chunker: JsonObject,
    embedded: Embedded | None = None,
) -> PackedArtifact:
    """Pack an index; without `embedded`, one that is searched by words.

    `chunker` has `name`, `version` and `params`. Raises ValueError if vectors and chunks do not
    fit together.
    """
    corpus = [canonical(_document(at)) for at in sorted(documents, key=lambda at: at.id)]
    rows = [canonical({"id": at.id, "document": at.document, "text": at.text}) for at in chunks]
    files = [
        _file("corpus.manifest.jsonl", "corpus", _lines(corpus)),
        _file("chunks.jsonl", "chunks", _lines(rows)),
    ]
    config: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "name": name,
        "engine": BM25,
        "engineVersion": "1",
        "count": len(rows),
        "chunks": {"layer": str(files[1].digest)},
        "chunker": chunker,
        "corpus": {
            "manifestLayer": str(files[0].digest),
            "documents": len(corpus),
            "root": f"sha256:{merkle_root(corpus).hex()}",
        },
    }
    if embedded is not None:
        file = _file("vectors.safetensors", "vectors", _vectors(embedded.vectors, len(rows)))
        files.append(file)
        embedder = embedded.embedder
        config |= {
            "engine": EXACT,
            "metric": "cosine",
            "dim": len(embedded.vectors[0]) // _FLOAT_BYTES,
            "vectors": {"layer": str(file.digest)},
            "embedder": {
                "digest": str(embedder.digest),
                "pooling": embedder.pooling,
                "normalize": embedder.normalize,
            },
        }
    return pack(Kind.INDEX, name, config, files)


def require(artifact: Artifact) -> None:
    """Check an index: documents, chunks and vectors are as many as it says, and fit together.

    Raises:
        Corrupt: something of it does not hold.

    """
    config = artifact.config("index")
    config.text("name")
    config.inside("chunker").text("name")
    corpus = config.inside("corpus")
    listed = artifact.named(corpus, "manifestLayer")
    require_rows(artifact, listed, corpus, "documents")
    known: set[str] = set()
    for at, row in _rows(artifact, listed):
        _reading(row, listed, at)
        known.add(_text(row, "id", listed, at))
    _require_chunks(artifact, config, known)
    engine = config.text("engine")
    if engine == BM25:
        return
    if engine != EXACT:
        raise config.wrong("engine", f"is neither `{EXACT}` nor `{BM25}`")
    embedder(artifact)
    _require_vectors(artifact, config)


def embedder(artifact: Artifact) -> Digest | None:
    """Return the manifest digest of the model that made the vectors. Raises Corrupt."""
    config = artifact.config("index")
    if config.text("engine") == BM25:
        return None
    made = config.inside("embedder")
    made.boolean("normalize")
    made.text("pooling")
    return digest_of(made, "digest")


def sources(artifact: Artifact, *, most: int) -> Iterator[tuple[str, Digest]]:
    """Yield the documents that the index was made of, or nothing if there are more than `most`.

    Raises Corrupt as `require`.
    """
    corpus = artifact.config("index").inside("corpus")
    layer = artifact.named(corpus, "manifestLayer")
    if corpus.integer("documents") > most:
        return
    for at, row in _rows(artifact, layer):
        said = f"sha256:{_text(row, 'sha256', layer, at)}"
        yield _text(row, "id", layer, at), Digest.parse(said)


def reading(artifact: Artifact) -> Mapping[str, Reading]:
    """Return who may read each document. Raises Corrupt as `require`."""
    layer = artifact.named(artifact.config("index").inside("corpus"), "manifestLayer")
    return {
        _text(row, "id", layer, at): _reading(row, layer, at) for at, row in _rows(artifact, layer)
    }


def passages(artifact: Artifact) -> Iterator[Passage]:
    """Yield the pieces in their order. Raises Corrupt as `require`."""
    layer = artifact.named(artifact.config("index").inside("chunks"), "layer")
    for at, row in _rows(artifact, layer):
        id_, document, text = (_text(row, key, layer, at) for key in ("id", "document", "text"))
        yield Passage(id=id_, document=document, text=text)


def vectors(artifact: Artifact) -> Descriptor:
    """Return the file of the vectors of an index that has some. Raises Corrupt as `require`."""
    return artifact.named(artifact.config("index").inside("vectors"), "layer")


def _reading(row: JsonObject, layer: Descriptor, at: int) -> Reading:
    """Read a document's access. What is malformed is refused, not ignored: it is a permission."""
    readers, classification = row.get("readers"), row.get("classification", "")
    fits = readers is None or (
        isinstance(readers, list) and all(isinstance(one, str) and one for one in readers)
    )
    if not fits or not isinstance(classification, str):
        raise Corrupt(
            f"`{title(layer)}` line {at:,} has `readers` or a `classification` of the wrong type: "
            f"`{str(readers)[:60]}`, `{str(classification)[:40]}`"
        )
    return Reading(
        readers=None if readers is None else tuple(map(str, readers)),  # type: ignore[arg-type]
        classification=classification,
    )


def _require_chunks(artifact: Artifact, config: Fields, known: set[str]) -> None:
    layer = artifact.named(config.inside("chunks"), "layer")
    seen: set[str] = set()
    for at, row in _rows(artifact, layer):
        name, document = _text(row, "id", layer, at), _text(row, "document", layer, at)
        _text(row, "text", layer, at)
        if document not in known:
            raise Corrupt(
                f"`{title(layer)}` line {at:,} is of the document `{document[:80]}`, which the "
                "corpus does not have"
            )
        if name in seen:
            raise Corrupt(f"`{title(layer)}` has the chunk `{name[:80]}` twice")
        seen.add(name)
    if len(seen) != config.integer("count"):
        raise config.wrong("count", f"is not the number of its chunks, {len(seen):,}")


def _require_vectors(artifact: Artifact, config: Fields) -> None:
    layer = artifact.named(config.inside("vectors"), "layer")
    header = read_header(artifact.path(layer), shown=title(layer))
    count, dim = config.integer("count"), config.integer("dim")
    wanted = {"F32": count * dim * _FLOAT_BYTES}
    if header.tensors != 1 or dict(header.bytes_by_dtype) != wanted or dim > _MOST_DIMENSIONS:
        raise Corrupt(
            f"`{title(layer)}` has {header.tensors} tensors with {dict(header.bytes_by_dtype)} "
            f"bytes, {count:,} vectors of {dim:,} take {wanted}"
        )


def _rows(artifact: Artifact, layer: Descriptor) -> Iterator[tuple[int, JsonObject]]:
    for at, line in enumerate(artifact.lines(layer), start=1):
        yield at, require_object(line, layer, at)


def _text(row: JsonObject, member: str, layer: Descriptor, at: int) -> str:
    value = row.get(member)
    if not isinstance(value, str) or not value:
        raise Corrupt(f"`{title(layer)}` line {at:,} has no text `{member}`")
    return value


def _document(document: SourceDocument) -> JsonObject:
    found: dict[str, Json] = {"id": document.id, "sha256": document.digest.hex}
    if document.revision:
        found["revision"] = document.revision
    if document.classification:
        found["classification"] = document.classification
    if document.readers is not None:
        found["readers"] = list(document.readers)
    return found


def _vectors(vectors: Sequence[bytes], count: int) -> bytes:
    lengths = {len(vector) for vector in vectors}
    if len(vectors) != count or len(lengths) != 1 or min(lengths) % _FLOAT_BYTES:
        raise ValueError(f"{len(vectors)} vectors of {sorted(lengths)} bytes for {count} chunks")
    body = b"".join(vectors)
    shape = [count, min(lengths) // _FLOAT_BYTES]
    tensor = {"dtype": "F32", "shape": shape, "data_offsets": [0, len(body)]}
    head = json.dumps({"vectors": tensor}, separators=(",", ":")).encode()
    # The numbers begin at a multiple of 8, so that they can be mapped.
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + body


def _lines(rows: Sequence[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows)


def _file(name: str, role: str, data: bytes) -> File:
    return File(name=name, media_type=DATASET, role=role, data=data)
