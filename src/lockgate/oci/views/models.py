"""Views of models: as Docker Model Runner and as Ollama pack them.

Formats: docker/model-runner `pkg/distribution/types/config.go`; ollama/ollama `server/layer.go`,
`server/images.go`. Both want GGUF, one file a layer, as it lies in the store.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lockgate.domain.artifact import Descriptor
from lockgate.domain.digest import Json
from lockgate.errors import UsageError
from lockgate.oci.headers.weights import Weights, read_weights
from lockgate.oci.manifest import base_role
from lockgate.oci.views.view import Primary, derived

_ROLE: Final = "io.lockgate.role"
_TITLE: Final = "org.opencontainers.image.title"
_PATH: Final = "org.cncf.model.filepath"
_DOCKER: Final = "application/vnd.docker.ai"
_OLLAMA: Final = "application/vnd.ollama.image"
_DOCKER_V2: Final = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LAYERS: Final[Mapping[str, str]] = {
    "weights": f"{_DOCKER}.gguf.v3",
    "shard": f"{_DOCKER}.gguf.v3",
    "mmproj": f"{_DOCKER}.mmproj",
    "chat-template": f"{_DOCKER}.chat.template.jinja",
    "license": f"{_DOCKER}.license",
}
_OLLAMA_LAYERS: Final[Mapping[str, str]] = {
    "weights": f"{_OLLAMA}.model",
    "mmproj": f"{_OLLAMA}.projector",
    "lora": f"{_OLLAMA}.adapter",
    "go-template": f"{_OLLAMA}.template",
    "system": f"{_OLLAMA}.system",
    "params": f"{_OLLAMA}.params",
    "messages": f"{_OLLAMA}.messages",
    "license": f"{_OLLAMA}.license",
}
_MIB: Final = 1 << 20


def docker(primary: Primary) -> bytes:
    """Return the manifest for Docker Model Runner. Raises UsageError if it is not GGUF."""
    weights = _weights(primary)
    layers = _layers(primary, _DOCKER_LAYERS, keep=(_PATH,))
    size = sum(at.size for at in layers if at.media_type == _DOCKER_LAYERS["weights"])
    described = {
        "format": weights.format,
        "architecture": weights.architecture,
        "parameters": _said(primary).get("paramSize", ""),
        "quantization": weights.quantisation,
        "size": f"{size / _MIB:.2f} MiB",
    }
    files: list[Json] = [{"diffID": str(at.digest), "type": at.media_type} for at in layers]
    config: dict[str, Json] = {
        "config": {key: value for key, value in described.items() if value},
        "descriptor": {},
        "rootfs": {"type": "rootfs", "diff_ids": [str(at.digest) for at in layers]},
        "files": files,
    }
    made = (f"{_DOCKER}.model.config.v0.1+json", config, tuple(layers))
    return derived(primary, made)


def ollama(primary: Primary) -> bytes:
    """Return the manifest for Ollama. Raises UsageError if it is not one GGUF file."""
    weights = _weights(primary)
    if weights.shard is not None:
        raise UsageError(
            f"{primary.descriptor.digest} is a model in {weights.shard.count} files, "
            "and Ollama runs those of one",
            hint="join them with llama.cpp's `llama-gguf-split --merge`, and pull the outcome",
        )
    layers = _layers(primary, _OLLAMA_LAYERS, keep=())
    family = weights.architecture or "unknown"
    config: dict[str, Json] = {
        "model_format": weights.format,
        "model_family": family,
        "model_families": [family],
        "model_type": str(_said(primary).get("paramSize", "")),
        "file_type": weights.quantisation,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [str(at.digest) for at in layers]},
    }
    made = ("application/vnd.docker.container.image.v1+json", config, tuple(layers))
    return derived(primary, made, media_type=_DOCKER_V2)


def _weights(primary: Primary) -> Weights:
    files = [at for at in primary.manifest.layers if at.annotations.get(_ROLE) == "weights"]
    if len(files) == 1:
        path = primary.layout.blob(files[0].digest)
        found = read_weights(path, shown=files[0].annotations.get(_TITLE, "weights"))
        if found.format == "gguf":
            return found
    raise UsageError(
        f"{primary.descriptor.digest} is not a model of one GGUF file, which this view needs",
        hint="make the view `image` or `modelpack` instead",
    )


def _layers(
    primary: Primary, types: Mapping[str, str], *, keep: Sequence[str]
) -> Sequence[Descriptor]:
    found = []
    for layer in primary.manifest.layers:
        kind = types.get(base_role(layer.annotations.get(_ROLE, "")))
        if kind is not None:
            said = {key: layer.annotations[key] for key in keep if key in layer.annotations}
            found.append(
                Descriptor(media_type=kind, digest=layer.digest, size=layer.size, annotations=said)
            )
    return found


def _said(primary: Primary) -> Mapping[str, Any]:
    config = json.loads(primary.layout.read(primary.manifest.config.digest))
    found = config.get("config") if isinstance(config, dict) else None
    return found if isinstance(found, dict) else {}
