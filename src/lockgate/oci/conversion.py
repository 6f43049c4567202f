"""Makes a model of another one of the store, and says in its manifest which that was."""

import os
import threading
from dataclasses import replace

from lockgate.domain.digest import Digest
from lockgate.errors import StorageFailed, UsageError
from lockgate.oci.catalogue import Model, ModelFile, OciSource
from lockgate.oci.gguf import read_header
from lockgate.oci.ingest import Ingested, ingest_file
from lockgate.oci.inventory import PullResult
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import SOURCE_MANIFEST, base_role, pack
from lockgate.oci.model_files import stored_model
from lockgate.oci.packing import publish
from lockgate.oci.quantise import Quantisation, quantise


def quantise_model(
    layout: Layout, name: str, base: Digest, new: str, to: Quantisation
) -> PullResult:
    """Let `new` stand for the model `name`, with the manifest `base`, in fewer bits.

    Raises:
        UsageError: it is not one GGUF file, or is quantised already.
        Corrupt: its file is damaged.
        StorageFailed: the disk is full or read-only.

    """
    model = stored_model(layout, name, base)
    weights = [file for file in model.files if base_role(file.role) in {"weights", "shard"}]
    if model.format != "gguf" or len(weights) != 1:
        raise UsageError(
            f"the model `{name}` is {len(weights)} file(s) of `{model.format or 'unknown'}`; "
            "one file of GGUF can be quantised",
            hint="see `lockgate model list` for formats",
        )
    made = _quantised(layout, weights[0], to)
    title = f"{weights[0].title.removesuffix('.gguf')}-{to}.gguf"
    packed = pack(_described(layout, model, base, new, (made, title)))
    before = layout.manifests().get(new)
    if not publish(layout, new, packed, [made.chunks] if made.chunks else []):
        raise StorageFailed(f"a file of `{new}` was removed while it was made", hint="try again")
    return PullResult(
        name=new,
        digest=packed.digest,
        size=made.size,
        fetched=before is None or before.digest != packed.digest,
    )


def _quantised(layout: Layout, weights: ModelFile, to: Quantisation) -> Ingested:
    layout.prepare()
    layout.require_space(weights.size)
    name = f"quantise-{os.getpid()}-{threading.get_ident()}"
    scratch = layout.ingest / f"{name}.tmp"
    with layout.lock(name):
        try:
            quantise(layout.blob(weights.digest), scratch, to)
            # The scratch file becomes the blob: a link, so nothing is copied.
            made = ingest_file(layout, scratch, link=True)
        finally:
            layout.discard(scratch)
    if made.chunks is not None:
        layout.put(made.chunks.encode())
    return made


def _described(
    layout: Layout, model: Model, base: Digest, new: str, made: tuple[Ingested, str]
) -> Model:
    file, title = made
    header = read_header(layout.blob(file.digest), shown=title)
    weights = ModelFile(
        role="weights",
        member=title,
        digest=file.digest,
        size=file.size,
        blake3=file.blake3,
        chunks=None if file.chunks is None else Digest.of(file.chunks.encode()),
    )
    left = {"weights", SOURCE_MANIFEST}
    return replace(
        model,
        name=new,
        source=OciSource(name=model.name.lower(), digest=base),
        files=(weights, *(at for at in model.files if at.role not in left)),
        quantisation=header.quantisation,
    )
