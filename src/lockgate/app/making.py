"""How an artifact was made, as far as it says so itself: for its provenance."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lockgate.domain.artifact import Kind, Manifest
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.predicates.provenance import BuildType
from lockgate.domain.predicates.resource import Resource

if TYPE_CHECKING:
    from lockgate.oci.layout import Layout

_TITLE = "org.opencontainers.image.title"
_ROLE = "io.lockgate.role"
_VERSION = "org.opencontainers.image.version"
_MOST_DOCUMENTS = 1000
"""Beyond it, an index names the list of its documents instead of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What a build did, with what."""

    build_type: BuildType
    parameters: JsonObject
    materials: tuple[Resource, ...]


def making_of(layout: "Layout", digest: Digest) -> Making:
    """Read out of an artifact how it was made: imported, quantised, or built as an index.

    Raises:
        Corrupt: it is not here, or damaged.

    """
    manifest = Manifest.parse(layout.read(digest))
    config = _config(layout, manifest)
    if manifest.artifact_type == Kind.INDEX.artifact_type:
        return _index(layout, digest, manifest, config)
    if manifest.artifact_type == Kind.MODEL.artifact_type:
        from lockgate.oci.manifest import SOURCE_MANIFEST, origin_of

        origin = origin_of(config.get("descriptor"))
        repacked = any(at.annotations.get(_ROLE) == SOURCE_MANIFEST for at in manifest.layers)
        if origin is not None and not repacked:
            described = config.get("config")
            said = described.get("quantization") if isinstance(described, Mapping) else ""
            return Making(
                build_type=BuildType.QUANTIZE,
                parameters={"quantization": str(said or "")},
                materials=(Resource(name=origin.name, digest=origin.digest),),
            )
    return _import(manifest, config)


def _import(manifest: Manifest, config: Mapping[str, Any]) -> Making:
    described = config.get("descriptor")
    source = described.get("sourceURL", "") if isinstance(described, Mapping) else ""
    return Making(
        build_type=BuildType.IMPORT,
        parameters={
            "source": str(source),
            "revision": manifest.annotations.get(_VERSION, ""),
            "files": [layer.annotations.get(_TITLE, "") for layer in manifest.layers],
        },
        materials=_files(manifest),
    )


def _index(
    layout: "Layout", digest: Digest, manifest: Manifest, config: Mapping[str, Any]
) -> Making:
    from lockgate.oci.kinds.artifact import Artifact
    from lockgate.oci.kinds.search_index import embedder, sources

    artifact = Artifact(layout, digest)
    materials = list(sources(artifact, most=_MOST_DOCUMENTS))
    made_by = embedder(artifact)
    return Making(
        build_type=BuildType.INDEX_BUILD,
        parameters={
            "chunker": config.get("chunker"),
            "metric": str(config.get("metric", "")),
            "engine": str(config.get("engine", "")),
        },
        materials=(
            *(() if made_by is None else (Resource(name="embedder", digest=made_by),)),
            *(Resource(name=name, digest=found) for name, found in materials),
            *_files(manifest),
        ),
    )


def _files(manifest: Manifest) -> tuple[Resource, ...]:
    return tuple(
        Resource(name=layer.annotations.get(_TITLE, ""), digest=layer.digest)
        for layer in manifest.layers
    )


def _config(layout: "Layout", manifest: Manifest) -> Mapping[str, Any]:
    found = json.loads(layout.read(manifest.config.digest))
    return found if isinstance(found, dict) else {}
