"""Packs small artifacts of our own kinds, in memory.

The layers have ModelPack's media types, so that tools which know only those can move and unpack
them; what is typed stands in the config. Nothing of this machine, and no clock, goes in.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lockgate.domain.artifact import MANIFEST, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.oci.layout import Layout

CODE: Final = "application/vnd.cncf.model.code.v1.raw"
DATASET: Final = "application/vnd.cncf.model.dataset.v1.raw"
WEIGHT: Final = "application/vnd.cncf.model.weight.v1.raw"
_SUBTYPE: Final = "ml.kitops.modelkit.layer-subtype"
_MODE: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of an artifact."""

    name: str
    media_type: str
    role: str
    data: bytes = field(repr=False)
    subtype: str = ""
    """How KitOps marks what its own layer types do not tell apart: `prompt`."""

    @property
    def digest(self) -> Digest:
        """Of its bytes."""
        return Digest.of(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedArtifact:
    """An artifact in memory."""

    title: str
    manifest: bytes
    blobs: tuple[bytes, ...]
    """The config and the files."""

    @property
    def digest(self) -> Digest:
        """Its identity."""
        return Digest.of(self.manifest)

    def put(self, layout: Layout, name: str) -> Descriptor:
        """Store it under a name. The same one again changes nothing."""
        layout.prepare()
        for blob in self.blobs:
            layout.put(blob)
        layout.put(self.manifest)
        found = Descriptor(media_type=MANIFEST, digest=self.digest, size=len(self.manifest))
        layout.name(name, found)
        return found


def pack(kind: Kind, title: str, config: JsonObject, files: Iterable[File]) -> PackedArtifact:
    """Make the manifest of an artifact."""
    listed = list(files)
    encoded = canonical(config)
    manifest = Manifest(
        artifact_type=kind.artifact_type,
        config=Descriptor(
            media_type=kind.config_type, digest=Digest.of(encoded), size=len(encoded)
        ),
        layers=tuple(layer(file) for file in listed),
        annotations={
            "io.lockgate.kind": str(kind),
            "org.opencontainers.image.title": title,
        },
    )
    return PackedArtifact(
        title=title, manifest=manifest.encode(), blobs=(encoded, *(file.data for file in listed))
    )


def layer(file: File) -> Descriptor:
    """Describe a file with both names that tools look for, and constants for its owner."""
    metadata: Json = {
        "name": file.name,
        "mode": _MODE,
        "uid": 0,
        "gid": 0,
        "size": len(file.data),
        "mtime": "1970-01-01T00:00:00Z",
        "typeflag": 0,
    }
    return Descriptor(
        media_type=file.media_type,
        digest=file.digest,
        size=len(file.data),
        annotations={
            "org.cncf.model.filepath": file.name,
            "org.opencontainers.image.title": file.name,
            "org.cncf.model.file.metadata+json": canonical(metadata).decode(),
            "io.lockgate.role": file.role,
            **({_SUBTYPE: file.subtype} if file.subtype else {}),
        },
    )
