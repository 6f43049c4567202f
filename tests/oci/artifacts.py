"""Artifacts that tests put into a layout."""

from lockgate.domain.artifact import (
    EMPTY_BYTES,
    EMPTY_CONFIG,
    MANIFEST,
    Descriptor,
    Kind,
    Manifest,
)
from lockgate.domain.release import Pin, Release
from lockgate.oci.layout import Layout

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def blob(layout: Layout, data: bytes) -> Descriptor:
    return Descriptor(
        media_type="application/octet-stream", digest=layout.put(data), size=len(data)
    )


def model(layout: Layout, *contents: bytes) -> Descriptor:
    """Store a model of some files and return where its manifest is."""
    layout.put(EMPTY_BYTES)
    layers = tuple(blob(layout, data) for data in contents)
    encoded = Manifest(
        artifact_type=Kind.MODEL.artifact_type, config=EMPTY_CONFIG, layers=layers
    ).encode()
    return Descriptor(media_type=MANIFEST, digest=layout.put(encoded), size=len(encoded))


def named(layout: Layout, name: str, *contents: bytes) -> Descriptor:
    made = model(layout, *contents)
    assert layout.name(name, made)
    return made


def attestation(
    layout: Layout, subject: Descriptor, content: bytes, artifact_type: str = BUNDLE
) -> bytes:
    """Store the content, and return the manifest to attach."""
    layout.put(EMPTY_BYTES)
    return Manifest(
        artifact_type=artifact_type,
        config=EMPTY_CONFIG,
        layers=(blob(layout, content),),
        subject=subject,
        annotations={"io.lockgate.predicate": content.decode()},
    ).encode()


def release(layout: Layout, name: str, *pins: Descriptor) -> Descriptor:
    """Store and name a release that pins these models."""
    made = Release(
        task=name,
        version="1",
        code={"digest": "x"},
        pins=tuple(
            Pin(role=f"r{number}", name="m", digest=at.digest, kind=Kind.MODEL, size=at.size)
            for number, at in enumerate(pins)
        ),
        decoding={},
    )
    layout.put(EMPTY_BYTES)
    layout.put(made.config)
    layout.put(made.manifest)
    found = Descriptor(media_type=MANIFEST, digest=made.digest, size=len(made.manifest))
    assert layout.name(name, found)
    return found
