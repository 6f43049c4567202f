"""The bill of materials of a model: CycloneDX 1.7, JSON.

From the manifest and the files' own headers, never from what somebody typed. Without a clock: the
serial number follows from the model's digest, so the same model has the same document everywhere.
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from lockgate.domain.artifact import Manifest
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.oci.gguf import read_header
from lockgate.oci.layout import Layout

_LICENCES = "org.opencontainers.image.licenses"
_TITLE = "org.opencontainers.image.title"
_BLAKE3 = "io.lockgate.digest.blake3"


def bill_of_materials(layout: Layout, digest: Digest) -> JsonObject:
    """Return the document of the model with that manifest.

    Raises:
        Corrupt: the manifest or a header cannot be read.

    """
    manifest = Manifest.parse(layout.read(digest))
    described = _described(layout, manifest)
    name = str(described.get("name") or manifest.annotations.get(_TITLE) or digest.hex[:12])
    model: dict[str, Json] = {
        "type": "machine-learning-model",
        "bom-ref": str(digest),
        "name": name,
        "version": str(described.get("version") or digest.hex[:12]),
        "hashes": [{"alg": "SHA-256", "content": digest.hex}],
        "components": [_file(layer.annotations, layer.digest) for layer in manifest.layers],
        "modelCard": {"modelParameters": _parameters(layout, manifest)},
    }
    licence = manifest.annotations.get(_LICENCES)
    if licence:
        model["licenses"] = [{"expression": licence}]
    if str(described.get("sourceURL", "")).startswith("pkg:"):
        model["purl"] = str(described["sourceURL"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, str(digest))}",
        "version": 1,
        "components": [model],
    }


def _described(layout: Layout, manifest: Manifest) -> Mapping[str, Any]:
    config = json.loads(layout.read(manifest.config.digest))
    found = config.get("descriptor") if isinstance(config, dict) else None
    return found if isinstance(found, dict) else {}


def _file(annotations: Mapping[str, str], digest: Digest) -> dict[str, Json]:
    hashes: list[Json] = [{"alg": "SHA-256", "content": digest.hex}]
    blake3 = annotations.get(_BLAKE3, "").removeprefix("blake3:")
    if blake3:
        hashes.append({"alg": "BLAKE3", "content": blake3})
    return {"type": "file", "name": annotations.get(_TITLE, digest.hex), "hashes": hashes}


def _parameters(layout: Layout, manifest: Manifest) -> dict[str, Json]:
    for layer in manifest.layers:
        path = layout.blob(layer.digest)
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                continue
        header = read_header(path, shown=layer.annotations.get(_TITLE))
        return {
            "task": "text-generation",
            "architectureFamily": header.architecture or "unknown",
            "modelArchitecture": header.title or header.architecture or "unknown",
        }
    return {}
