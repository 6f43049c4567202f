"""Builds a search index of a folder of texts, whose vectors name the model that made them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.app.access import EVERYBODY, Access
from lockgate.app.backends import Backends, Cassettes
from lockgate.app.models import layout_of, model_store
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.inference import Dispatch, Embed, Embedding
from lockgate.errors import InvalidInput, NotFound, Unavailable
from lockgate.ports import Progress

if TYPE_CHECKING:
    from lockgate.oci.kinds.search_index import Chunk, Embedded, SourceDocument

SUFFIXES = frozenset({".md", ".rst", ".txt"})
WORDS = 120
"""Of a piece. MiniLM reads 256 tokens of it."""
_MOST_DOCUMENTS = 10_000
_MOST_BYTES = 4 << 20
_MOST_CHUNKS = 200_000
_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The index to make."""

    name: str
    embedder: str | None
    """The model of its vectors; None makes one that is searched by words."""
    access: Access = EVERYBODY
    """Who may read which text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was stored."""

    digest: Digest
    documents: int
    chunks: int
    embedder: Digest | None


async def build_index(
    loaded: Loaded,
    environment: Environment,
    folder: Path,
    wanted: Wanted,
    progress: Progress,
) -> Built:
    """Store the index of a folder's texts under `index/NAME`.

    Links are not followed. The same folder gives the same index, as far as the embedder's numbers
    are the same: they depend on what the processor offers.

    Raises:
        NotFound: the folder has no texts, or no catalogue knows the embedder.
        InvalidInput: a text is too large, or there are too many.
        ModelMissing, Unavailable: the embedder is not here, or does not answer.
        StorageFailed: the disk is full or read-only.

    """
    from lockgate.oci.inventory import require_name
    from lockgate.oci.kinds.search_index import pack_index
    from lockgate.retrieval import chunking

    name = wanted.name
    require_name(name)
    documents, chunks = _read(folder, wanted.access)
    embedded = None
    if wanted.embedder is not None:
        embedded = await _embedded(loaded, environment, wanted.embedder, chunks, progress)
    chunker: JsonObject = {
        "name": chunking.NAME,
        "version": chunking.VERSION,
        "params": {"words": WORDS},
    }
    packed = pack_index(name, documents, chunks, chunker=chunker, embedded=embedded)
    packed.put(layout_of(environment), f"index/{name}")
    return Built(
        digest=packed.digest,
        documents=len(documents),
        chunks=len(chunks),
        embedder=None if embedded is None else embedded.embedder.digest,
    )


def _read(folder: Path, access: Access) -> tuple[Sequence["SourceDocument"], Sequence["Chunk"]]:
    from lockgate.oci.kinds.search_index import Chunk, SourceDocument
    from lockgate.retrieval.chunking import pieces

    documents: list[SourceDocument] = []
    chunks: list[Chunk] = []
    for path in _texts(folder):
        data = _bytes(path)
        where = path.relative_to(folder).as_posix()
        reading = access.of(where)
        documents.append(
            SourceDocument(
                id=where,
                digest=Digest.of(data),
                classification=reading.classification,
                readers=reading.readers,
            )
        )
        text = data.decode("utf-8", "replace")
        for number, piece in enumerate(pieces(text, words=WORDS)):
            chunks.append(Chunk(id=f"{where}#{number}", document=where, text=piece))
        if len(chunks) > _MOST_CHUNKS:
            raise InvalidInput(f"`{folder}` makes more than {_MOST_CHUNKS:,} pieces")
    if not chunks:
        raise NotFound(
            f"`{folder}` has no texts: files that end in {', '.join(sorted(SUFFIXES))}",
            hint="give the folder of the documents",
        )
    return documents, chunks


def _texts(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        raise NotFound(f"`{folder}` is not a folder")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.is_symlink()
    )
    if len(found) > _MOST_DOCUMENTS:
        raise InvalidInput(
            f"`{folder}` has {len(found):,} texts, at most {_MOST_DOCUMENTS:,} are taken"
        )
    return found


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"`{path}` cannot be read: {(error.strerror or '').lower()}") from error
    if len(data) > _MOST_BYTES:
        raise InvalidInput(f"`{path}` is larger than {_MOST_BYTES:,} bytes", hint="cut it up")
    return data


async def _embedded(
    loaded: Loaded,
    environment: Environment,
    name: str,
    chunks: Sequence["Chunk"],
    progress: Progress,
) -> "Embedded":
    from lockgate.oci.kinds.search_index import Embedded, Embedder

    models = model_store(loaded, environment)
    digest = models.digest(name)
    backends = Backends(loaded, environment, models, Cassettes())
    vectors: list[bytes] = []
    progress.start(f"embed with {name}", len(chunks))
    try:
        backend = backends[models.backend(name)]
        for at in range(0, len(chunks), _BATCH):
            texts = tuple(chunk.text for chunk in chunks[at : at + _BATCH])
            made = await backend.infer(
                Dispatch(model=name, digest=digest, request=Embed(texts=texts))
            )
            if not isinstance(made, Embedding):
                raise Unavailable(f"the model `{name}` makes no vectors", hint="choose an embedder")
            vectors += made.vectors
            progress.advance(len(texts))
    finally:
        progress.finish()
        backends.close()
    return Embedded(embedder=Embedder(digest=digest), vectors=tuple(vectors))
