"""Packs small artifacts of our own kinds: tasks, policies and evaluation datasets.

The layers have ModelPack's media types, so that tools which know only those can move and unpack
them; what is typed stands in the config. Nothing of this machine, and no clock, goes in.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lockgate.domain.artifact import MANIFEST, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.oci.layout import Layout

API_VERSION: Final = "lockgate/v1"
_CODE: Final = "application/vnd.cncf.model.code.v1.raw"
_DATASET: Final = "application/vnd.cncf.model.dataset.v1.raw"
_MODE: Final = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedArtifact:
    """An artifact in memory."""

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


def pack_task(name: str, version: str, files: Mapping[str, bytes]) -> PackedArtifact:
    """Pack the files of a prompt-only task: templates and schemas by file name."""
    config: JsonObject = {"apiVersion": API_VERSION, "name": name, "version": version}
    layers = [(title, _CODE, _role(title), files[title]) for title in sorted(files)]
    return _pack(Kind.TASK, name, config, layers)


def pack_policy(name: str, text: bytes) -> PackedArtifact:
    """Pack a policy as its owner wrote it, so that what is signed is what people read."""
    config: JsonObject = {"apiVersion": API_VERSION, "name": name}
    return _pack(Kind.POLICY, name, config, [("policy.toml", _CODE, "policy", text)])


def pack_dataset(task: str, split: str, rows: Sequence[JsonObject]) -> PackedArtifact:
    """Pack evaluation cases as JSON Lines, with the Merkle root over the rows."""
    lines = [canonical(row) for row in rows]
    data = b"".join(line + b"\n" for line in lines)
    config: JsonObject = {
        "apiVersion": API_VERSION,
        "task": task,
        "splits": {
            split: {
                "layer": str(Digest.of(data)),
                "rows": len(lines),
                "root": f"sha256:{merkle_root(lines).hex()}",
            }
        },
    }
    return _pack(Kind.DATASET, task, config, [(f"{split}.jsonl", _DATASET, f"split:{split}", data)])


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of RFC 6962, section 2.1, with SHA-256."""
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    if not level:
        return hashlib.sha256(b"").digest()
    # A last node without a partner moves up as it is: the same tree as splitting at the largest
    # power of two below the count.
    while len(level) > 1:
        pairs = [
            hashlib.sha256(b"\1" + level[at] + level[at + 1]).digest()
            for at in range(0, len(level) - 1, 2)
        ]
        level = [*pairs, level[-1]] if len(level) % 2 else pairs
    return level[0]


def _pack(
    kind: Kind, title: str, config: JsonObject, layers: Iterable[tuple[str, str, str, bytes]]
) -> PackedArtifact:
    encoded = canonical(config)
    blobs, described = [encoded], []
    for name, media_type, role, data in layers:
        blobs.append(data)
        described.append(_layer(name, media_type, role, data))
    manifest = Manifest(
        artifact_type=kind.artifact_type,
        config=Descriptor(
            media_type=kind.config_type, digest=Digest.of(encoded), size=len(encoded)
        ),
        layers=tuple(described),
        annotations={
            "io.lockgate.kind": str(kind),
            "org.opencontainers.image.title": title,
        },
    )
    return PackedArtifact(manifest=manifest.encode(), blobs=tuple(blobs))


def _layer(name: str, media_type: str, role: str, data: bytes) -> Descriptor:
    metadata: Json = {
        "name": name,
        "mode": _MODE,
        "uid": 0,
        "gid": 0,
        "size": len(data),
        "mtime": "1970-01-01T00:00:00Z",
        "typeflag": 0,
    }
    return Descriptor(
        media_type=media_type,
        digest=Digest.of(data),
        size=len(data),
        annotations={
            "org.cncf.model.filepath": name,
            "org.opencontainers.image.title": name,
            "org.cncf.model.file.metadata+json": canonical(metadata).decode(),
            "io.lockgate.role": role,
        },
    )


_ROLES: Final[Mapping[str, str]] = {
    "system.j2": "system",
    "prompt.j2": "user",
    "rules.json.j2": "rules",
    "input.schema.json": "input-schema",
    "output.schema.json": "output-schema",
    "task.toml": "manifest",
}


def _role(title: str) -> str:
    return _ROLES.get(title, "file")
