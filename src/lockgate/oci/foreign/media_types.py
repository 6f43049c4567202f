"""What other packers' media types say: who packed, what a layer is, and how its bytes are wrapped.

Formats: modelpack/model-spec `spec.md`; kitops-ml/kitops `pkg/lib/constants/mediatype`;
docker/model-runner `pkg/distribution/types/config.go`; ollama/ollama `server/layer.go`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lockgate.domain.artifact import Kind, Manifest


class Packer(StrEnum):
    """Who packed a model."""

    MODELPACK = "ModelPack"
    KITOPS = "KitOps"
    DOCKER = "Docker Model Runner"
    OLLAMA = "Ollama"


class Wrapping(StrEnum):
    """How a layer holds its files."""

    RAW = "raw"
    TAR = "tar"
    TAR_GZIP = "tar+gzip"
    TAR_ZSTD = "tar+zstd"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerType:
    """What a layer's media type says."""

    role: str
    """`weights`, `mmproj`, `lora`, `config`, `doc` …; empty for what is not taken in."""
    wrapping: Wrapping = Wrapping.RAW
    name: str = ""
    """The file's name where no annotation has one."""


_ROLE: Final = "io.lockgate.role"
_DOCKER: Final = "application/vnd.docker.ai."
_OLLAMA: Final = "application/vnd.ollama.image."
_KITOPS: Final = "application/vnd.kitops.modelkit."
_MODELPACK = re.compile(
    r"application/vnd\.(?:cncf|cnai)\.model\.(weight|weight\.config|doc|code|dataset)\.v1"
    r"\.(raw|tar|tar\+gzip|tar\+zstd|gguf|safetensors)"
)
_KIT = re.compile(
    r"application/vnd\.kitops\.modelkit\.(model|modelpart|dataset|code|docs?|prompt)\.v1"
    r"\.(raw|tar|tar\+gzip|tar\+zstd)"
)
_PARTS: Final[Mapping[str, str]] = {
    "weight": "weights",
    "weight.config": "config",
    "model": "weights",
    "modelpart": "weights",
    "doc": "doc",
    "docs": "doc",
}
"""Code, datasets and prompts of other packers are not part of a model of ours."""

_KNOWN: Final[Mapping[str, LayerType]] = {
    f"{_DOCKER}gguf.v3": LayerType(role="weights", name="model.gguf"),
    f"{_DOCKER}gguf.v3.mmproj": LayerType(role="mmproj", name="mmproj.gguf"),
    f"{_DOCKER}gguf.v3.lora": LayerType(role="lora", name="lora.gguf"),
    f"{_DOCKER}safetensors": LayerType(role="weights", name="model.safetensors"),
    f"{_DOCKER}mmproj": LayerType(role="mmproj", name="mmproj.gguf"),
    f"{_DOCKER}license": LayerType(role="license", name="LICENSE"),
    f"{_DOCKER}chat.template.jinja": LayerType(role="chat-template", name="template.jinja"),
    f"{_DOCKER}vllm.config.tar": LayerType(role="config", wrapping=Wrapping.TAR),
    f"{_DOCKER}dir.tar": LayerType(role="config", wrapping=Wrapping.TAR),
    f"{_DOCKER}model.file": LayerType(role="config"),
    f"{_OLLAMA}model": LayerType(role="weights", name="model.gguf"),
    f"{_OLLAMA}projector": LayerType(role="mmproj", name="mmproj.gguf"),
    f"{_OLLAMA}adapter": LayerType(role="lora", name="lora.gguf"),
    # A template of Go's `text/template`: kept as text, rendered by nobody here.
    f"{_OLLAMA}template": LayerType(role="go-template", name="template.gotmpl"),
    f"{_OLLAMA}system": LayerType(role="system", name="system.txt"),
    f"{_OLLAMA}params": LayerType(role="params", name="params.json"),
    f"{_OLLAMA}messages": LayerType(role="messages", name="messages.json"),
    f"{_OLLAMA}license": LayerType(role="license", name="LICENSE"),
}


def packer_of(manifest: Manifest) -> Packer | None:
    """Say who packed a manifest; None if no packer of models did, or this tool did."""
    types = {manifest.artifact_type, manifest.config.media_type}
    layers = [layer.media_type for layer in manifest.layers]
    if types & {Kind.MODEL.artifact_type, Kind.MODEL.config_type}:
        ours = bool(manifest.layers) and all(_ROLE in at.annotations for at in manifest.layers)
        return None if ours else Packer.MODELPACK
    if any(said.startswith("application/vnd.cnai.model.") for said in types):
        return Packer.MODELPACK
    if any(said.startswith(_KITOPS) for said in types):
        return Packer.KITOPS
    if any(said.startswith(f"{_DOCKER}model.config.") for said in types):
        return Packer.DOCKER
    if any(said.startswith(_OLLAMA) for said in layers):
        return Packer.OLLAMA
    return None


def layer_type(media_type: str) -> LayerType | None:
    """Return what a layer's media type says; None if no packer has such a layer."""
    bare = media_type.partition(";")[0].strip()  # Ollama adds parameters
    if known := _KNOWN.get(bare):
        return known
    found = _MODELPACK.fullmatch(bare) or _KIT.fullmatch(bare)
    if found is None:
        return None
    part, form = found.groups()
    # Docker's older ModelPack layers have the file's format in the place of the wrapping.
    wrapping = Wrapping.RAW if form in {"gguf", "safetensors"} else Wrapping(form)
    return LayerType(role=_PARTS.get(part, ""), wrapping=wrapping)
