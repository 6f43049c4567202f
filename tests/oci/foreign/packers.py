"""Models as other tools pack them: the shapes of their manifests, configs and layers."""

import gzip
import io
import json
import os
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

import pytest

from lockgate.domain.artifact import MANIFEST
from lockgate.domain.digest import Digest
from lockgate.oci.registry.repository import Repository
from oci.samples import gguf

DOCKER_V2 = "application/vnd.docker.distribution.manifest.v2+json"
Layer: TypeAlias = tuple[str, bytes, Mapping[str, str]]
"""Media type, bytes and annotations."""
GGUF = gguf(512, name="Foreign")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A manifest with its blobs, as a packer pushes them."""

    document: Mapping[str, Any]
    blobs: Sequence[bytes]

    @property
    def data(self) -> bytes:
        # Go's encoder keeps the order of the struct and adds no spaces; ours need not be canonical.
        return json.dumps(self.document, separators=(",", ":")).encode()

    @property
    def digest(self) -> Digest:
        return Digest.of(self.data)

    def push(self, target: Repository, tag: str = "1") -> Digest:
        for blob in self.blobs:
            path = target.downloads._layout.ingest / "sent"
            path.write_bytes(blob)
            target.uploads.push(Digest.of(blob), path, lambda _: None)
            path.unlink()
        target.manifests.put(self.data, str(self.document["mediaType"]), tag=tag)
        return self.digest


def manifest(
    config_type: str,
    config: Mapping[str, Any],
    layers: Sequence[Layer],
    *,
    artifact_type: str = "",
    media_type: str = MANIFEST,
) -> Made:
    encoded = json.dumps(config).encode()
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
    if artifact_type:
        document["artifactType"] = artifact_type
    document["config"] = _descriptor(config_type, encoded, {})
    document["layers"] = [_descriptor(kind, data, said) for kind, data, said in layers]
    return Made(document=document, blobs=[encoded, *(data for _, data, _ in layers)])


def modelpack(
    files: Mapping[str, bytes], *, wrapping: str = "raw", licences: Sequence[str] = ("MIT",)
) -> Made:
    """As modctl builds one: a layer a file, with its path in an annotation."""
    kinds = {".gguf": "weight", ".safetensors": "weight", ".json": "weight.config"}
    layers: list[Layer] = []
    for path, data in files.items():
        kind = next((kinds[end] for end in kinds if path.endswith(end)), "doc")
        body = data if wrapping == "raw" else tape({path: data}, wrapping)
        said = {"org.cncf.model.filepath": path}
        layers.append((f"application/vnd.cncf.model.{kind}.v1.{wrapping}", body, said))
    config = {
        "descriptor": {"name": "foreign", "title": "Foreign", "licenses": list(licences)},
        "config": {"architecture": "llama", "format": "gguf", "paramSize": "135M"},
        "modelfs": {"type": "layers", "diffIds": [str(Digest.of(data)) for data in files.values()]},
    }
    return manifest(
        "application/vnd.cncf.model.config.v1+json",
        config,
        layers,
        artifact_type="application/vnd.cncf.model.manifest.v1+json",
    )


def kitops(files: Mapping[str, bytes], *, wrapping: str = "tar") -> Made:
    """As `kit pack` builds a ModelKit: archives, and the Kitfile as the config."""
    config = {
        "manifestVersion": "1.0.0",
        "package": {"name": "kit", "license": "Apache-2.0", "authors": ["somebody"]},
        "model": {"name": "foreign", "path": "./", "framework": "llama"},
        "code": [{"path": "train.ipynb"}],
        "docs": [{"path": "README.md"}],
    }
    kit = "application/vnd.kitops.modelkit"
    layers: list[Layer] = [
        (f"{kit}.model.v1.{wrapping}", tape(files, wrapping), {}),
        (f"{kit}.code.v1.{wrapping}", tape({"train.ipynb": b"{}"}, wrapping), {}),
        (f"{kit}.docs.v1.{wrapping}", tape({"README.md": b"# Kit\n"}, wrapping), {}),
    ]
    return manifest(
        f"{kit}.config.v1+json", config, layers, artifact_type=f"{kit}.manifest.v1+json"
    )


def docker(data: bytes = GGUF, *, version: str = "0.1") -> Made:
    """As `docker model package --gguf` builds one."""
    config = {
        "config": {"format": "gguf", "quantization": "F32", "architecture": "llama", "size": "2k"},
        "descriptor": {"created": "2026-01-01T00:00:00Z"},
        "rootfs": {"type": "rootfs", "diff_ids": [str(Digest.of(data))]},
    }
    layers = [
        ("application/vnd.docker.ai.gguf.v3", data, {"org.cncf.model.filepath": "model.gguf"}),
        ("application/vnd.docker.ai.license", b"MIT License\n", {}),
        ("application/vnd.docker.ai.chat.template.jinja", b"{{ messages }}", {}),
    ]
    return manifest(f"application/vnd.docker.ai.model.config.v{version}+json", config, layers)


def ollama(data: bytes = GGUF, **parts: bytes) -> Made:
    """As `ollama push` builds one: a Docker manifest, with texts beside the weights."""
    config = {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": "134.52M",
        "file_type": "F16",
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(data))]},
    }
    image = "application/vnd.ollama.image"
    texts = {"template": b"{{ .Prompt }}", "license": b"Apache License", **parts}
    layers: list[Layer] = [(f"{image}.model", data, {})]
    layers += [(f"{image}.{kind}", text, {}) for kind, text in texts.items()]
    layers.append((f"{image}.license", b"Second licence", {}))
    return manifest(
        "application/vnd.docker.container.image.v1+json", config, layers, media_type=DOCKER_V2
    )


def tape(files: Mapping[str, bytes], wrapping: str = "tar") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    found = buffer.getvalue()
    if wrapping.endswith("zstd"):
        return bytes(zstd().compress(found))
    return gzip.compress(found, 1) if wrapping.endswith("gzip") else found


def zstd() -> Any:
    """Return Python's module for Zstandard. In continuous integration its absence is a failure."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return import_module(name) if os.environ.get("CI") else pytest.importorskip(name)


def _descriptor(media_type: str, data: bytes, annotations: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "mediaType": media_type,
        "digest": str(Digest.of(data)),
        "size": len(data),
    }
    return {**found, "annotations": dict(annotations)} if annotations else found
