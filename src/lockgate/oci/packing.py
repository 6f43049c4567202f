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
from lockgate.errors import Corrupt, StorageFailed
from lockgate.oci.catalogue import FileSource, Model, ModelFile
from lockgate.oci.chunks import ARTIFACT_TYPE, MEDIA_TYPE, ChunkTable
from lockgate.oci.gguf import Header, read_header
from lockgate.oci.ingest import Ingested, Way, ingest_file
from lockgate.oci.inventory import PullResult
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import Packed, pack
from lockgate.oci.shards import beside, ordered, role
from lockgate.ports import Progress

GGUF_BACKEND = "llama_cpp"
_TRIES = 3


def pack_file(
    layout: Layout, path: Path, name: str, *, link: bool, progress: Progress
) -> PullResult:
    """Take the file in, and let `name` stand for it. With `link`, see `ingest_file`.

    Of a model in several files, any of them stands for all; they lie in one folder.

    Raises:
        Corrupt: it is not a whole GGUF file, or not all files are of one model.
        NotFound: another file of the same model is not beside it.
        UsageError: it changed while it was read.
        StorageFailed: the disk is full or read-only.

    """
    header = read_header(path)  # refused before a byte is copied
    paths = [path] if header.shard is None else beside(path, header.shard)
    if header.shard is not None:
        _require_whole([(other.name, read_header(other)) for other in paths])
    for _ in range(_TRIES):
        found = _ingest(layout, paths, name, link=link, progress=progress)
        # Read again from the blobs: the files may have been exchanged in between.
        headers = [
            (other.name, read_header(layout.blob(one.digest), shown=other.name))
            for other, one in zip(paths, found, strict=True)
        ]
        _require_whole(headers)
        for one in found:
            if one.chunks is not None:
                layout.put(one.chunks.encode())
        packed = pack(_model(paths, name, found, headers[0][1]))
        before = layout.manifests().get(name)
        here = before is not None and before.digest == packed.digest
        if publish(layout, name, packed, [one.chunks for one in found if one.chunks]):
            return PullResult(
                name=name,
                digest=packed.digest,
                size=sum(one.size for one in found),
                fetched=not (here and all(one.way is Way.KNOWN for one in found)),
            )
        # Another process removed a model that shares the file, between taking in and naming.
    raise StorageFailed(
        f"the file of `{name}` was removed while it was packed", hint="pull it again"
    )


def _require_whole(headers: Sequence[tuple[str, Header]]) -> None:
    """Refuse files that are not one model, in this order. Raises Corrupt."""
    shards = [(name, header.shard) for name, header in headers if header.shard is not None]
    if len(headers) > 1 and (
        len(shards) < len(headers) or list(ordered(shards)) != [*range(len(headers))]
    ):
        raise Corrupt(
            f"`{headers[0][0]}` and the files beside it are not the parts of one model, in order",
            hint="their names and their headers have to agree",
        )


def _ingest(
    layout: Layout, paths: Sequence[Path], name: str, *, link: bool, progress: Progress
) -> Sequence[Ingested]:
    progress.start(name, sum(path.stat().st_size for path in paths))
    try:
        return [ingest_file(layout, path, link=link, advance=progress.advance) for path in paths]
    finally:
        progress.finish()


def _model(paths: Sequence[Path], name: str, found: Sequence[Ingested], header: Header) -> Model:
    files = [
        ModelFile(
            role=role(number),
            member=path.name,
            digest=one.digest,
            size=one.size,
            blake3=one.blake3,
            chunks=None if one.chunks is None else Digest.of(one.chunks.encode()),
        )
        for number, (path, one) in enumerate(zip(paths, found, strict=True), 1)
    ]
    return Model(
        name=name,
        source=FileSource(path=paths[0].absolute().parent),
        files=tuple(files),
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
