"""What is stored and moved: descriptors and manifests of the OCI image specification.

Formats: OCI image-spec 1.1, `descriptor.md` and `manifest.md`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from lockgate.domain.digest import Digest, Json, canonical
from lockgate.errors import Corrupt, LockgateError

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
MAX_MANIFEST_BYTES: Final = 4 << 20  # distribution-spec: registries need not take more


class Kind(StrEnum):
    """What an artifact is. Artifacts carry data, never code."""

    MODEL = "model"
    PROMPT = "prompt"
    INDEX = "index"
    DATASET = "dataset"
    POLICY = "policy"
    ADAPTER = "adapter"
    TASK = "task"
    RELEASE = "release"

    @property
    def artifact_type(self) -> str:
        """The `artifactType` of its manifest."""
        if self is Kind.MODEL:
            return "application/vnd.cncf.model.manifest.v1+json"
        return f"application/vnd.lockgate.{self}.v1+json"

    @property
    def config_type(self) -> str:
        """The media type of its config."""
        if self is Kind.MODEL:
            return "application/vnd.cncf.model.config.v1+json"
        return f"application/vnd.lockgate.{self}.config.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Where a document or a file is, and how to know it."""

    media_type: str
    digest: Digest
    size: int
    """Bytes."""
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a descriptor out of decoded JSON.

        Raises:
            Corrupt: it is not one, or has a digest other than SHA-256.

        """
        if not isinstance(value, Mapping):
            raise Corrupt(f"a descriptor is not an object: `{str(value)[:80]}`")
        media_type, size = value.get("mediaType"), value.get("size")
        artifact_type = value.get("artifactType") or ""
        if not (
            isinstance(media_type, str)
            and isinstance(artifact_type, str)
            and isinstance(size, int)
            and not isinstance(size, bool)
            and size >= 0
        ):
            raise Corrupt(f"a descriptor lacks a media type or a size: `{str(value)[:200]}`")
        try:
            digest = Digest.parse(str(value.get("digest")))
        except LockgateError as error:
            raise Corrupt(f"a descriptor's digest is not usable: {error.message}") from error
        return cls(
            media_type=media_type,
            digest=digest,
            size=size,
            artifact_type=artifact_type,
            annotations=_strings(value.get("annotations")),
        )

    @property
    def document(self) -> dict[str, Json]:
        """The descriptor as JSON; empty fields are left out."""
        found: dict[str, Json] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.artifact_type:
            found["artifactType"] = self.artifact_type
        if self.annotations:
            found["annotations"] = dict(self.annotations)
        return found


EMPTY_BYTES: Final = b"{}"
EMPTY_CONFIG: Final = Descriptor(
    media_type=EMPTY, digest=Digest.of(EMPTY_BYTES), size=len(EMPTY_BYTES)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An image manifest. Never encode a fetched one again: keep its bytes."""

    artifact_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    media_type: str = MANIFEST

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a manifest.

        Raises:
            Corrupt: it is too large or not an image manifest.

        """
        document = _object(data)
        layers = document.get("layers")
        if document.get("schemaVersion") != 2 or not isinstance(layers, list):  # noqa: PLR2004
            raise Corrupt("the document is not an image manifest of schema version 2")
        subject = document.get("subject")
        artifact_type = document.get("artifactType") or ""
        media_type = document.get("mediaType") or MANIFEST
        if not isinstance(artifact_type, str) or not isinstance(media_type, str):
            raise Corrupt("the manifest's types are not strings")
        return cls(
            artifact_type=artifact_type,
            config=Descriptor.parse(document.get("config")),
            layers=tuple(Descriptor.parse(layer) for layer in layers),
            subject=None if subject is None else Descriptor.parse(subject),
            annotations=_strings(document.get("annotations")),
            media_type=media_type,
        )

    def encode(self) -> bytes:
        """Return the canonical bytes, whose digest is the identity."""
        document: dict[str, Json] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.document,
            "layers": [layer.document for layer in self.layers],
        }
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.subject is not None:
            document["subject"] = self.subject.document
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return canonical(document)


def _object(data: bytes) -> Mapping[str, Any]:
    if len(data) > MAX_MANIFEST_BYTES:
        raise Corrupt(f"a manifest has {len(data):,} bytes, at most {MAX_MANIFEST_BYTES:,} allowed")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Corrupt("a manifest is not JSON") from error
    if not isinstance(document, dict):
        raise Corrupt("a manifest is not a JSON object")
    return document


def _strings(value: object) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Corrupt("annotations are not an object")
    for key, text in value.items():
        if not isinstance(text, str):
            raise Corrupt(f"the annotation `{str(key)[:80]}` is not a string")
    return dict(value)
