"""Adapters: small weights that change one model, which they name by its digest."""

from pathlib import Path
from typing import Final

from lockgate.domain.artifact import MANIFEST, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest, JsonObject, canonical
from lockgate.errors import Corrupt, StorageFailed
from lockgate.oci.gguf import read_header
from lockgate.oci.headers.weights import read_weights
from lockgate.oci.index import BLAKE3
from lockgate.oci.ingest import ingest_file
from lockgate.oci.kinds.artifact import API_VERSION, Artifact, digest_of, title
from lockgate.oci.kinds.packed import WEIGHT
from lockgate.oci.layout import Layout

LORA: Final = "lora"
BASE: Final = "io.lockgate.base"
_LICENCES: Final = "org.opencontainers.image.licenses"


def pack_adapter(
    layout: Layout, path: Path, name: str, *, base: Digest, licence: str = ""
) -> Descriptor:
    """Take a file of adapter weights in, as an artifact called `adapter/NAME`.

    Raises:
        Denied: it is neither GGUF nor safetensors.
        Corrupt: it is damaged, or GGUF that is no adapter.
        StorageFailed: the disk is full or read-only.

    """
    _require_adapter(path, path.name)
    layout.prepare()
    found = ingest_file(layout, path)
    blob = layout.blob(found.digest)
    form = read_weights(blob, shown=path.name).format
    config: JsonObject = {
        "apiVersion": API_VERSION,
        "name": name,
        "method": LORA,
        "format": form,
        "base": str(base),
        "weights": str(found.digest),
    }
    encoded = canonical(config)
    weights = Descriptor(
        media_type=WEIGHT,
        digest=found.digest,
        size=found.size,
        annotations={
            "org.cncf.model.filepath": path.name,
            "org.opencontainers.image.title": path.name,
            "io.lockgate.role": LORA,
            BLAKE3: found.blake3,
        },
    )
    manifest = Manifest(
        artifact_type=Kind.ADAPTER.artifact_type,
        config=Descriptor(
            media_type=Kind.ADAPTER.config_type, digest=layout.put(encoded), size=len(encoded)
        ),
        layers=(weights,),
        annotations={
            "io.lockgate.kind": str(Kind.ADAPTER),
            "org.opencontainers.image.title": name,
            BASE: str(base),
            **({_LICENCES: licence} if licence else {}),
        },
    ).encode()
    at = Descriptor(
        media_type=MANIFEST,
        digest=layout.put(manifest),
        size=len(manifest),
        artifact_type=Kind.ADAPTER.artifact_type,
    )
    if not layout.name(f"adapter/{name}", at):
        raise StorageFailed(f"`{path}` was removed while it was packed", hint="pack it again")
    return at


def require(artifact: Artifact) -> None:
    """Check an adapter: its weights are such, and it says which model they are for.

    Raises:
        Denied: its weights are of no format that is read.
        Corrupt: something of it does not hold.

    """
    config = artifact.config("adapter")
    config.text("name")
    if config.text("method") != LORA:
        raise config.wrong("method", f"is not `{LORA}`")
    said = str(digest_of(config, "base"))
    if artifact.manifest.annotations.get(BASE, said) != said:
        raise config.wrong("base", f"is not what the annotation `{BASE}` says")
    layer = artifact.named(config, "weights")
    found = read_weights(artifact.path(layer), shown=title(layer)).format
    if found != config.text("format"):
        raise config.wrong("format", f"is not what `{title(layer)}` is, `{found}`")
    _require_adapter(artifact.path(layer), title(layer))


def base(artifact: Artifact) -> Digest:
    """Return the manifest digest of the model that is adapted. Raises Corrupt."""
    return digest_of(artifact.config("adapter"), "base")


def _require_adapter(path: Path, shown: str) -> None:
    """Refuse a whole model in the place of an adapter; safetensors do not say which they are."""
    if read_weights(path, shown=shown).format != "gguf":
        return
    header = read_header(path, shown=shown)
    if (header.kind, header.adapter) != ("adapter", LORA):
        raise Corrupt(
            f"`{shown}` says that it is `{header.kind or 'a model'}` of the type "
            f"`{header.adapter or 'none'}`, expected `adapter` of the type `{LORA}`",
            hint="convert the adapter with llama.cpp's `convert_lora_to_gguf.py`",
        )
