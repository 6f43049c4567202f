"""A release with two models, attestations and chunk tables, in a layout."""

from collections.abc import Mapping
from dataclasses import dataclass

from blake3 import blake3

from lockgate.domain.artifact import EMPTY_CONFIG, MANIFEST, Descriptor, Kind, Manifest
from lockgate.oci import chunks
from lockgate.oci.chunks import CHUNK_BYTES, ChunkTable
from lockgate.oci.index import BLAKE3
from lockgate.oci.layout import Layout
from lockgate.oci.tree import Tree
from oci import artifacts
from oci.samples import noise

BIG = noise(2 * CHUNK_BYTES + 1000, b"big")


@dataclass(frozen=True, kw_only=True)
class Sample:
    release: Descriptor
    models: tuple[Descriptor, ...]
    attached: tuple[Descriptor, ...]


def table(data: bytes) -> ChunkTable:
    parts = range(0, len(data), CHUNK_BYTES)
    hashes = [blake3(data[at : at + CHUNK_BYTES]).digest() for at in parts]
    return ChunkTable.of(len(data), hashes)


def model(
    layout: Layout, data: bytes = BIG, *, claims: Mapping[str, str] | None = None
) -> Descriptor:
    """Store a model of one file with both digests and a chunk table, as packing does."""
    encoded = table(data).encode()
    bound = Descriptor(media_type=chunks.MEDIA_TYPE, digest=layout.put(encoded), size=len(encoded))
    said = {BLAKE3: f"blake3:{blake3(data).hexdigest()}", chunks.ANNOTATION: str(bound.digest)}
    layer = Descriptor(
        media_type="application/vnd.cncf.model.weight.v1.raw",
        digest=layout.put(data),
        size=len(data),
        annotations={**said, **(claims or {})},
    )
    layout.put(b"{}")
    found = Manifest(
        artifact_type=Kind.MODEL.artifact_type, config=EMPTY_CONFIG, layers=(layer,)
    ).encode()
    at = Descriptor(media_type=MANIFEST, digest=layout.put(found), size=len(found))
    assert layout.name("big", at)
    layout.attach(
        Manifest(
            artifact_type=chunks.ARTIFACT_TYPE, config=EMPTY_CONFIG, layers=(bound,), subject=at
        ).encode()
    )
    return at


def release(layout: Layout, *, big: bytes = BIG) -> Sample:
    """Store a release of two models with four attestations and a chunk table."""
    models = (model(layout, big), artifacts.named(layout, "small", b"weights", b"tokens"))
    made = artifacts.release(layout, "triage", *models)
    for number, subject in enumerate((made, made, *models)):
        layout.attach(artifacts.attestation(layout, subject, f"statement {number}".encode()))
    attached = [at for subject in (made, *models) for at in layout.referrers(subject.digest)]
    return Sample(release=made, models=models, attached=tuple(attached))


def as_root(tree: Tree) -> Mapping[str, Descriptor]:
    """Name what was pulled."""
    return {"pulled": tree.root.descriptor}
