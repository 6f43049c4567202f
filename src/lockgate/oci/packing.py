"""A GGUF file of the user's as a model of the store."""

from collections.abc import Sequence
from pathlib import Path

from lockgate.domain.artifact import (
    EMPTY_BYTES,
    EMPTY_CONFIG,
    MANIFEST,
    Descriptor,
    Kind,
    Manifest,
)
from lockgate.domain.digest import Digest
from lockgate.errors import StorageFailed
from lockgate.oci.catalogue import FileSource, Model, ModelFile
from lockgate.oci.chunks import ARTIFACT_TYPE, MEDIA_TYPE, ChunkTable
from lockgate.oci.gguf import Header, read_header
from lockgate.oci.ingest import Ingested, Way, ingest_file
from lockgate.oci.inventory import PullResult
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import Packed, pack
from lockgate.ports import Progress

GGUF_BACKEND = "llama_cpp"
_TRIES = 3


def pack_file(
    layout: Layout, path: Path, name: str, *, link: bool, progress: Progress
) -> PullResult:
    """Take the file in, and let `name` stand for it. With `link`, see `ingest_file`.

    Raises:
        Corrupt: it is not a whole GGUF file.
        UsageError: it changed while it was read.
        StorageFailed: the disk is full or read-only.

    """
    read_header(path)  # refused before a byte is copied
    for _ in range(_TRIES):
        found = _ingest(layout, path, name, link=link, progress=progress)
        # Read again from the blob: the file may have been exchanged in between.
        header = read_header(layout.blob(found.digest), shown=path.name)
        table = None if found.chunks is None else layout.put(found.chunks.encode())
        packed = pack(_model(path, name, found, header, table))
        before = layout.manifests().get(name)
        here = before is not None and before.digest == packed.digest
        if publish(layout, name, packed, [found.chunks] if found.chunks else []):
            return PullResult(
                name=name,
                digest=packed.digest,
                size=found.size,
                fetched=not (here and found.way is Way.KNOWN),
            )
        # Another process removed a model that shares the file, between taking in and naming.
    raise StorageFailed(
        f"the file of `{name}` was removed while it was packed", hint="pull it again"
    )


def _ingest(layout: Layout, path: Path, name: str, *, link: bool, progress: Progress) -> Ingested:
    progress.start(name, path.stat().st_size)
    try:
        return ingest_file(layout, path, link=link, advance=progress.advance)
    finally:
        progress.finish()


def _model(path: Path, name: str, found: Ingested, header: Header, table: Digest | None) -> Model:
    file = ModelFile(
        role="weights",
        member=path.name,
        digest=found.digest,
        size=found.size,
        blake3=found.blake3,
        chunks=table,
    )
    return Model(
        name=name,
        source=FileSource(path=path.absolute().parent),
        files=(file,),
        backend=GGUF_BACKEND,
        title=header.title or name,
        licence=header.licence,
        architecture=header.architecture,
        format="gguf",
        quantisation=header.quantisation,
        context_tokens=header.context_tokens,
    )


def publish(layout: Layout, name: str, packed: Packed, tables: Sequence[ChunkTable]) -> bool:
    """Let `name` stand for a model whose files are here. False if one of them went missing."""
    layout.put(packed.config)
    layout.put(packed.manifest)
    manifest = Descriptor(
        media_type=MANIFEST,
        digest=packed.digest,
        size=len(packed.manifest),
        artifact_type=Kind.MODEL.artifact_type,
    )
    if not tables:
        return layout.publish({name: manifest})
    encoded = sorted({table.encode() for table in tables})
    layers = tuple(
        Descriptor(media_type=MEDIA_TYPE, digest=layout.put(data), size=len(data))
        for data in encoded
    )
    layout.put(EMPTY_BYTES)
    holder = Manifest(
        artifact_type=ARTIFACT_TYPE, config=EMPTY_CONFIG, layers=layers, subject=manifest
    )
    return layout.publish({name: manifest}, [layout.put(holder.encode())])
