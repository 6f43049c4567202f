"""A GGUF file of the user's as a model of the store."""

from pathlib import Path

from lockgate.domain.artifact import MANIFEST, Descriptor
from lockgate.errors import StorageFailed
from lockgate.oci.catalogue import FileSource, Model, ModelFile
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
        model = _model(path, name, found, read_header(layout.blob(found.digest), shown=path.name))
        packed = pack(model)
        before = layout.manifests().get(name)
        here = before is not None and before.digest == packed.digest
        if _name(layout, name, packed):
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


def _model(path: Path, name: str, found: Ingested, header: Header) -> Model:
    file = ModelFile(
        role="weights",
        member=path.name,
        digest=found.digest,
        size=found.size,
        blake3=found.blake3,
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


def _name(layout: Layout, name: str, packed: Packed) -> bool:
    layout.put(packed.config)
    layout.put(packed.manifest)
    size = len(packed.manifest)
    return layout.name(name, Descriptor(media_type=MANIFEST, digest=packed.digest, size=size))
