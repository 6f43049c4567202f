"""A model as an OCI manifest: CNCF ModelPack, strict.

Formats: modelpack/model-spec `spec.md`, `config.md` and `annotations.md`; one file a layer, `.raw`.
Everything in it follows from the catalogue entry, so the digest is known before a byte is pulled,
and it is the same on every machine.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.domain.artifact import MANIFEST
from lockgate.domain.digest import Digest, Json, canonical
from lockgate.errors import Corrupt, LockgateError
from lockgate.oci.catalogue import HfSource, Model, ModelFile, OciSource, PypiSource, Source
from lockgate.oci.index import BLAKE3

ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"
_WEIGHT = "application/vnd.cncf.model.weight.v1.raw"
_WEIGHT_CONFIG = "application/vnd.cncf.model.weight.config.v1.raw"
_DOC = "application/vnd.cncf.model.doc.v1.raw"
_WEIGHT_ROLES = frozenset({"weights", "shard", "mmproj", "lora"})
SOURCE_MANIFEST = "source-manifest"
"""Role of the file that is the manifest of another tool, of which a model was repacked."""
_DOC_ROLES = frozenset({"license", "model-card", SOURCE_MANIFEST})
_OCI = re.compile(r"pkg:oci/([a-z0-9._-]{1,128})@sha256%3A([0-9a-f]{64})")
CHUNKS = "io.lockgate.chunks.digest"  # as in chunks.py, which needs the hash library
_ROLE = "io.lockgate.role"
_PATH = "org.cncf.model.filepath"
_TITLE = "org.opencontainers.image.title"
_LICENSES = "org.opencontainers.image.licenses"
_MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """The two documents of a model."""

    config: bytes
    manifest: bytes

    @property
    def digest(self) -> Digest:
        """The identity of the model."""
        return Digest.of(self.manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a stored manifest says about a model."""

    files: tuple[ModelFile, ...]
    config: Digest
    title: str
    licence: str
    architecture: str
    format: str
    parameters: str
    quantisation: str
    origin: OciSource | None = None
    """The manifest of another tool that it was made of."""


def pack(model: Model) -> Packed:
    """Return the documents for a catalogue entry."""
    config = canonical(_config(model))
    layers = [_layer(file) for file in model.files]
    annotations = {
        "io.lockgate.kind": "model",
        _TITLE: model.title or model.name,
        _LICENSES: model.licence,
        "org.opencontainers.image.version": _version(model.source),
    }
    manifest = canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": {
                "mediaType": CONFIG,
                "digest": str(Digest.of(config)),
                "size": len(config),
            },
            "layers": layers,
            "annotations": _present(annotations),
        }
    )
    return Packed(config=config, manifest=manifest)


def unpack(manifest: bytes, config: bytes) -> Stored:
    """Read the documents of a stored model.

    Raises:
        Corrupt: they are not a ModelPack manifest with one `.raw` file a layer.

    """
    try:
        document, described = json.loads(manifest), json.loads(config)["config"]
        return Stored(
            files=tuple(_file(layer) for layer in document["layers"]),
            config=Digest.parse(document["config"]["digest"]),
            title=str(document.get("annotations", {}).get(_TITLE, "")),
            licence=str(document.get("annotations", {}).get(_LICENSES, "")),
            architecture=str(described.get("architecture", "")),
            format=str(described.get("format", "")),
            parameters=str(described.get("paramSize", "")),
            quantisation=str(described.get("quantization", "")),
            origin=origin_of(json.loads(config).get("descriptor")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, LockgateError) as error:
        raise Corrupt("the manifest is not one of a model", hint="it was not made here") from error


def config_digest(manifest: bytes) -> Digest:
    """Return the address of a manifest's config. Raises Corrupt if it has none."""
    try:
        return Digest.parse(json.loads(manifest)["config"]["digest"])
    except (ValueError, KeyError, TypeError, LockgateError) as error:
        raise Corrupt("the manifest has no config") from error


def _config(model: Model) -> dict[str, Json]:
    descriptor: dict[str, Json] = {"name": model.name}
    if model.title:
        descriptor["title"] = model.title
    if model.licence:
        descriptor["licenses"] = [model.licence]
    descriptor |= _present({"version": _version(model.source), "sourceURL": _purl(model.source)})
    if isinstance(model.source, HfSource):
        descriptor["revision"] = model.source.revision
    return {
        "descriptor": descriptor,
        "config": _present(
            {
                "architecture": model.architecture,
                "format": model.format,
                "paramSize": model.parameters,
                "quantization": model.quantisation,
            }
        ),
        "modelfs": {"type": "layers", "diffIds": [str(file.digest) for file in model.files]},
    }


def _layer(file: ModelFile) -> dict[str, Json]:
    # ModelPack: file metadata SHOULD be constant, or two machines pack the same bytes differently.
    metadata: Json = {
        "name": file.title,
        "mode": _MODE,
        "uid": 0,
        "gid": 0,
        "size": file.size,
        "mtime": "1970-01-01T00:00:00Z",
        "typeflag": 0,
    }
    return {
        "mediaType": _media_type(file.role),
        "digest": str(file.digest),
        "size": file.size,
        "annotations": {
            _PATH: file.title,
            _TITLE: file.title,
            "org.cncf.model.file.metadata+json": canonical(metadata).decode(),
            _ROLE: file.role,
            **_present({BLAKE3: file.blake3, CHUNKS: str(file.chunks or "")}),
        },
    }


def base_role(role: str) -> str:
    """Return what a file is: `weights` for `weights-2`. Roles are unique within a model."""
    head, dash, number = role.rpartition("-")
    return head if dash and number.isdigit() else role


def _media_type(role: str) -> str:
    base = base_role(role)
    if base in _WEIGHT_ROLES:
        return _WEIGHT
    return _DOC if base in _DOC_ROLES else _WEIGHT_CONFIG


def origin_of(described: object) -> OciSource | None:
    """Return what a config's descriptor says that the model was repacked from."""
    said = described.get("sourceURL") if isinstance(described, dict) else None
    found = _OCI.fullmatch(said) if isinstance(said, str) else None
    return None if found is None else OciSource(name=found[1], digest=Digest(found[2]))


def _file(layer: Mapping[str, Any]) -> ModelFile:
    annotations = layer["annotations"]
    size = layer["size"]
    if not isinstance(size, int):
        raise TypeError("size")
    return ModelFile(
        role=str(annotations[_ROLE]),
        member=str(annotations[_PATH]),
        digest=Digest.parse(layer["digest"]),
        size=size,
        blake3=str(annotations.get(BLAKE3, "")),
        chunks=Digest.parse(annotations[CHUNKS]) if CHUNKS in annotations else None,
    )


def _version(source: Source) -> str:
    return source.requirement.partition("==")[2] if isinstance(source, PypiSource) else ""


def _purl(source: Source) -> str:
    """Return the package URL (package-url/purl-spec), which names no host."""
    match source:
        case PypiSource(requirement=requirement):
            return "pkg:pypi/" + requirement.replace("==", "@")
        case HfSource(repo=repo, revision=revision):
            return f"pkg:huggingface/{repo}@{revision}"
        case OciSource(name=name, digest=digest):
            return f"pkg:oci/{name}@sha256%3A{digest.hex}"
        case _:
            return ""


def _present(values: Mapping[str, str]) -> dict[str, Json]:
    return {key: value for key, value in values.items() if value}
