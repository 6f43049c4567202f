"""What runs: one immutable document that pins a task's code and its artifacts by digest.

As an OCI artifact it is an image manifest, not an index (copying tools rewrite indexes), whose
config is the document. The manifest's digest is the identity of the release.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from lockgate.domain.artifact import EMPTY_CONFIG, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.errors import Corrupt, LockgateError, NotFound

API_VERSION: Final = "lockgate/v1"
MAX_PINS: Final = 64
_TITLE = "org.opencontainers.image.title"
_VERSION = "org.opencontainers.image.version"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pin:
    """One artifact of a release, or the model of a server that shows no bytes."""

    role: str
    name: str
    digest: Digest
    """Of the artifact's manifest. Of the server's address and model name if `kind` is None."""
    kind: Kind | None = None
    size: int = 0
    """Bytes of the manifest; 0 if `kind` is None."""
    backend: str = ""
    """Name of the backend that runs it; empty for what is not a model."""

    @property
    def document(self) -> dict[str, Json]:
        """The pin as JSON."""
        found: dict[str, Json] = {"role": self.role, "name": self.name, "digest": str(self.digest)}
        if self.backend:
            found["backend"] = self.backend
        if self.kind is None:
            return {**found, "external": True}
        return {
            **found,
            "kind": str(self.kind),
            "mediaType": self.descriptor.media_type,
            "artifactType": self.kind.artifact_type,
            "size": self.size,
        }

    @property
    def descriptor(self) -> Descriptor:
        """Where the artifact is. Only for pins with a kind."""
        assert self.kind is not None, "an external pin has no artifact"
        return Descriptor(
            media_type="application/vnd.oci.image.manifest.v1+json",
            digest=self.digest,
            size=self.size,
            artifact_type=self.kind.artifact_type,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A task's code and artifacts. Its identity is `digest`."""

    task: str
    version: str
    code: Mapping[str, str]
    """`distribution`, `version` and `digest` of what implements the task."""
    pins: tuple[Pin, ...]
    decoding: JsonObject
    parents: tuple[Digest, ...] = ()
    """The releases that this one follows."""
    runtime: JsonObject = field(default_factory=dict)
    """What must be there to run it: `python`, `libraries` by backend, `diskMiB`."""

    @classmethod
    def parse(cls, config: bytes) -> Self:
        """Read the config of a release's manifest.

        Raises:
            Corrupt: it is not the canonical document of a release.

        """
        try:
            document = json.loads(config)
            release = cls._parse(document)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Corrupt(f"a release's document is malformed: {error!r}"[:200]) from error
        except LockgateError as error:
            raise Corrupt(f"a release's document is malformed: {error.message}") from error
        if release.config != config:
            raise Corrupt("a release's document has unknown members or is not canonical JSON")
        return release

    @classmethod
    def _parse(cls, document: Any) -> Self:
        if not isinstance(document, dict) or document.get("apiVersion") != API_VERSION:
            raise Corrupt(f"`apiVersion` is not `{API_VERSION}`")
        pins = document["pins"]
        if not isinstance(pins, list) or len(pins) > MAX_PINS:
            raise Corrupt(f"`pins` is not a list of at most {MAX_PINS}")
        code = document["code"]
        if not all(isinstance(value, str) for value in code.values()):
            raise TypeError("code")
        return cls(
            task=_text(document["task"]),
            version=_text(document["version"]),
            code=code,
            pins=tuple(_pin(pin) for pin in pins),
            decoding=_object(document["decoding"]),
            parents=tuple(Digest.parse(parent) for parent in document["parents"]),
            runtime=_object(document["runtime"]),
        )

    @property
    def document(self) -> dict[str, Json]:
        """The release as JSON: the same input gives the same bytes on every machine."""
        return {
            "apiVersion": API_VERSION,
            "task": self.task,
            "version": self.version,
            "code": dict(self.code),
            "pins": [pin.document for pin in sorted(self.pins, key=lambda p: (p.role, p.name))],
            "decoding": self.decoding,
            "parents": sorted(str(parent) for parent in self.parents),
            "runtime": self.runtime,
        }

    @property
    def config(self) -> bytes:
        """The document's canonical bytes."""
        return canonical(self.document)

    @property
    def manifest(self) -> bytes:
        """The manifest's canonical bytes."""
        config = self.config
        described = Descriptor(
            media_type=Kind.RELEASE.config_type, digest=Digest.of(config), size=len(config)
        )
        return Manifest(
            artifact_type=Kind.RELEASE.artifact_type,
            config=described,
            layers=(EMPTY_CONFIG,),
            annotations={
                "io.lockgate.kind": str(Kind.RELEASE),
                _TITLE: self.task,
                _VERSION: self.version,
            },
        ).encode()

    @property
    def digest(self) -> Digest:
        return Digest.of(self.manifest)

    def pin(self, role: str) -> Pin:
        """Return the artifact that fills `role`.

        Raises:
            NotFound: the release pins nothing for that role.

        """
        for pin in self.pins:
            if pin.role == role:
                return pin
        raise NotFound(
            f"the release of `{self.task}` pins no model for the role `{role}`",
            hint=f"see what it pins with `lockgate task show {self.task}`",
        )


def _pin(value: Any) -> Pin:
    kind = None if value.get("external") is True else Kind(value["kind"])
    size = 0 if kind is None else value["size"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise TypeError("size")
    return Pin(
        role=_text(value["role"]),
        name=_text(value["name"]),
        digest=Digest.parse(_text(value["digest"])),
        kind=kind,
        size=size,
        backend=_text(value.get("backend", "")),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is not a string")
    return value


def _object(value: Any) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:40]!r} is not an object")
    return value
