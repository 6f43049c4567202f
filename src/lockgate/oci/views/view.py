"""A view: a manifest derived from another one, whose subject that is.

Everything in it follows from the primary manifest and the files' headers, so whoever wants to can
make it again instead of trusting it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lockgate.domain.artifact import MANIFEST, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest, JsonObject, canonical
from lockgate.errors import UsageError
from lockgate.oci.layout import Layout


class View(StrEnum):
    """For whom a manifest is."""

    DOCKER = "docker"
    """`docker model pull`."""
    OLLAMA = "ollama"
    """`ollama pull`."""
    MODELPACK = "modelpack"
    """`kit unpack` and `modctl pull`, of what is no model."""
    IMAGE = "image"
    """Image volumes of Kubernetes and KServe's model cars: the files once more, in an archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Primary:
    """What a view is of."""

    layout: Layout
    descriptor: Descriptor
    manifest: Manifest


def read_primary(layout: Layout, digest: Digest) -> Primary:
    """Read a manifest of the store. Raises Corrupt if it is damaged or missing."""
    data = layout.read(digest)
    manifest = Manifest.parse(data)
    described = Descriptor(
        media_type=manifest.media_type,
        digest=digest,
        size=len(data),
        artifact_type=manifest.artifact_type,
    )
    return Primary(layout=layout, descriptor=described, manifest=manifest)


def derived(
    primary: Primary,
    made: tuple[str, JsonObject, tuple[Descriptor, ...]],
    *,
    media_type: str = MANIFEST,
    artifact_type: str = "",
) -> bytes:
    """Store the config of a view, and return its manifest."""
    config_type, document, layers = made
    config = canonical(document)
    primary.layout.put(config)
    return Manifest(
        media_type=media_type,
        artifact_type=artifact_type,
        config=Descriptor(media_type=config_type, digest=Digest.of(config), size=len(config)),
        layers=layers,
        subject=primary.descriptor,
    ).encode()


def require_kind(primary: Primary, view: View, wanted: Mapping[str, Kind]) -> None:
    """Refuse a view of what has none. Raises UsageError."""
    said = primary.manifest.artifact_type
    if said not in wanted:
        listed = ", ".join(sorted(str(kind) for kind in wanted.values()))
        raise UsageError(
            f"`{said[:120]}` has no view `{view}`; these kinds have one: {listed}",
            hint="see `lockgate model list` for what is here",
        )
