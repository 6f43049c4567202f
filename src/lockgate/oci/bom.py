"""Bills of materials: CycloneDX 1.7, JSON, of a model or of a whole release.

From the manifests and the files' own headers, never from what somebody typed. Without a clock: the
serial number follows from the subject's digest, so the same subject has the same document
everywhere.
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from lockgate.domain.artifact import Kind, Manifest
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.release import Pin, Release
from lockgate.errors import Denied
from lockgate.oci.headers.weights import Weights, read_weights
from lockgate.oci.layout import Layout
from lockgate.oci.manifest import origin_of

_LICENCES: Final = "org.opencontainers.image.licenses"
_TITLE: Final = "org.opencontainers.image.title"
_BLAKE3: Final = "io.lockgate.digest.blake3"
_WEIGHTS: Final = "application/vnd.cncf.model.weight.v1."
_DATA: Final[Mapping[Kind, str]] = {Kind.DATASET: "dataset", Kind.INDEX: "dataset"}
"""CycloneDX types of data; what is not listed is `configuration`."""


def bill_of_materials(layout: Layout, digest: Digest) -> JsonObject:
    """Return the document of the model with that manifest.

    Raises:
        Corrupt: the manifest or a header cannot be read.

    """
    return _document(digest, {"components": [_model(layout, digest, "")]})


def release_bill_of_materials(layout: Layout, digest: Digest) -> JsonObject:
    """Return the document of a release: a component for each artifact that it pins.

    A model that some server runs has no bytes here, so it has no hashes there.

    Raises:
        Corrupt: a manifest or a header cannot be read, or is not here.

    """
    manifest = Manifest.parse(layout.read(digest))
    release = Release.parse(layout.read(manifest.config.digest))
    pins = {pin.digest: pin for pin in sorted(release.pins, reverse=True)}
    components: list[Json] = [_pinned(layout, pins[at]) for at in sorted(pins)]
    code: dict[str, Json] = {
        "type": "library",
        "bom-ref": "code",
        "name": release.code.get("distribution") or release.task,
        "version": release.code.get("version", ""),
        "properties": [
            {"name": "io.lockgate.code.digest", "value": release.code.get("digest", "")}
        ],
    }
    subject: dict[str, Json] = {
        "type": "application",
        "bom-ref": str(digest),
        "name": release.task,
        "version": release.version,
        "hashes": [_sha256(digest)],
    }
    return _document(
        digest,
        {
            "metadata": {"component": subject},
            "components": [code, *components],
            "dependencies": [
                {"ref": str(digest), "dependsOn": ["code", *(str(at) for at in sorted(pins))]}
            ],
        },
    )


def _document(digest: Digest, members: Mapping[str, Json]) -> JsonObject:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, str(digest))}",
        "version": 1,
        **members,
    }


def _pinned(layout: Layout, pin: Pin) -> dict[str, Json]:
    if pin.kind in {Kind.MODEL, Kind.ADAPTER}:
        return _model(layout, pin.digest, pin.name)
    if pin.kind is None:
        return {
            "type": "machine-learning-model",
            "bom-ref": str(pin.digest),
            "name": pin.name,
            "properties": [{"name": "io.lockgate.external", "value": pin.backend or "true"}],
        }
    manifest = Manifest.parse(layout.read(pin.digest))
    kind = _DATA.get(pin.kind, "configuration")
    data: list[Json] = [
        {"type": kind, "name": _title(layer.annotations, layer.digest)} for layer in manifest.layers
    ]
    return {
        "type": "data",
        "bom-ref": str(pin.digest),
        "name": pin.name,
        "hashes": [_sha256(pin.digest)],
        "data": data,
        "components": [_file(layer.annotations, layer.digest) for layer in manifest.layers],
    }


def _model(layout: Layout, digest: Digest, called: str) -> dict[str, Json]:
    manifest = Manifest.parse(layout.read(digest))
    described = _described(layout, manifest)
    name = str(described.get("name") or called or _title(manifest.annotations, digest)[:64])
    model: dict[str, Json] = {
        "type": "machine-learning-model",
        "bom-ref": str(digest),
        "name": name,
        "version": str(described.get("version") or digest.hex[:12]),
        "hashes": [_sha256(digest)],
        "components": [_file(layer.annotations, layer.digest) for layer in manifest.layers],
        "modelCard": {"modelParameters": _parameters(layout, manifest)},
    }
    licence = manifest.annotations.get(_LICENCES)
    if licence:
        model["licenses"] = [{"expression": licence}]
    if str(described.get("sourceURL", "")).startswith("pkg:"):
        model["purl"] = str(described["sourceURL"])
    origin = origin_of(described)
    if origin is not None:
        ancestor: dict[str, Json] = {
            "type": "machine-learning-model",
            "name": origin.name,
            "hashes": [_sha256(origin.digest)],
        }
        model["pedigree"] = {"ancestors": [ancestor]}
    return model


def _described(layout: Layout, manifest: Manifest) -> Mapping[str, Any]:
    config = json.loads(layout.read(manifest.config.digest))
    found = config.get("descriptor") if isinstance(config, dict) else None
    return found if isinstance(found, dict) else {}


def _file(annotations: Mapping[str, str], digest: Digest) -> dict[str, Json]:
    hashes: list[Json] = [_sha256(digest)]
    blake3 = annotations.get(_BLAKE3, "").removeprefix("blake3:")
    if blake3:
        hashes.append({"alg": "BLAKE3", "content": blake3})
    return {"type": "file", "name": _title(annotations, digest), "hashes": hashes}


def _title(annotations: Mapping[str, str], digest: Digest) -> str:
    return annotations.get(_TITLE) or digest.hex


def _sha256(digest: Digest) -> dict[str, Json]:
    return {"alg": "SHA-256", "content": digest.hex}


def _parameters(layout: Layout, manifest: Manifest) -> dict[str, Json]:
    weights = _weights(layout, manifest)
    if weights is None:
        return {}
    found: dict[str, Json] = {
        "architectureFamily": weights.architecture or "unknown",
        "modelArchitecture": weights.title or weights.architecture or weights.format,
    }
    if weights.chat_template or weights.format == "gguf":
        found["task"] = "text-generation"
    return found


def _weights(layout: Layout, manifest: Manifest) -> Weights | None:
    for layer in manifest.layers:
        if layer.media_type.startswith(_WEIGHTS):
            try:
                shown = _title(layer.annotations, layer.digest)
                return read_weights(layout.blob(layer.digest), shown=shown)
            except Denied:
                continue  # a format whose header is not read, such as ONNX
    return None
