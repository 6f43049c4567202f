"""An artifact with all that moves with it: what a release pins, and what is attached to any of it.

Everything follows from the root's digest: a manifest belongs because a document that is verified
names its digest, or because its own `subject` is one that belongs. Indexes and tags are hints.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lockgate.domain.artifact import INDEX, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest, Json, canonical
from lockgate.domain.release import Pin, Release
from lockgate.errors import Corrupt, NotFound
from lockgate.oci.chunks import ANNOTATION as TABLE
from lockgate.oci.index import BLAKE3
from lockgate.oci.layout import Layout

CLOSURE: Final = "application/vnd.lockgate.closure.v1+json"
RELEASE_ANNOTATION: Final = "io.lockgate.release"
MOST_MANIFESTS: Final = 1024
_ROLE: Final = "io.lockgate.role"
_ATTACHED_ROLE: Final = "attestation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A manifest that belongs."""

    data: bytes
    manifest: Manifest
    role: str

    @property
    def digest(self) -> Digest:
        """Its identity."""
        return Digest.of(self.data)

    @property
    def descriptor(self) -> Descriptor:
        """Where it is."""
        return Descriptor(
            media_type=self.manifest.media_type,
            digest=self.digest,
            size=len(self.data),
            artifact_type=self.manifest.artifact_type,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A root, its children and what is attached to them."""

    root: Node
    release: Release | None
    """What the root says, if it is a release."""
    children: tuple[Node, ...]
    attached: tuple[Node, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All manifests, in the order in which they can be pushed."""
        return (*self.children, self.root, *self.attached)

    def blobs(self) -> Mapping[Digest, Descriptor]:
        """Return what the manifests consist of. Raises Corrupt if they disagree on a size."""
        found: dict[Digest, Descriptor] = {}
        for node in self.nodes:
            for blob in (node.manifest.config, *node.manifest.layers):
                known = found.get(blob.digest)
                found[blob.digest] = blob if known is None else _agreed(known, blob)
        return found

    def closure(self) -> bytes:
        """Return the index that lists every manifest.

        Nobody trusts it: it is for moving, and it keeps a registry's garbage collection away. No
        child has an `artifactType`: skopeo 1.9 would rewrite the index without it.
        """
        entries: list[Json] = []
        for node in (self.root, *self.children, *self.attached):
            described = node.descriptor
            entries.append(
                {
                    "mediaType": described.media_type,
                    "digest": str(described.digest),
                    "size": described.size,
                    "annotations": {_ROLE: node.role},
                }
            )
        return canonical(
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "artifactType": CLOSURE,
                "annotations": {RELEASE_ANNOTATION: str(self.root.digest)},
                "manifests": entries,
            }
        )


def local_tree(layout: Layout, root: Digest) -> Tree:
    """Read a tree out of the store.

    Raises:
        NotFound: the root, or what it pins, is not here.
        Corrupt: a document is damaged.

    """
    top = _local(layout, root, "artifact")
    release = None
    if top.manifest.artifact_type == Kind.RELEASE.artifact_type:
        release = read_release(top, layout.read(top.manifest.config.digest))
    children = tuple(_local(layout, pin.digest, pin.role) for pin in pins_of(release))
    attached = [
        _local(layout, at.digest, _ATTACHED_ROLE)
        for node in (*children, top)
        for at in layout.referrers(node.digest)
    ]
    return grown(top, release, children, attached)


def grown(
    top: Node, release: Release | None, children: Iterable[Node], attached: Iterable[Node]
) -> Tree:
    """Put a tree together, each manifest once. Raises Corrupt if there are too many."""
    inner = {node.digest: node for node in children}
    outer = {node.digest: node for node in attached if node.digest not in inner}
    if len(inner) + len(outer) >= MOST_MANIFESTS:
        raise Corrupt(
            f"{len(inner) + len(outer) + 1:,} manifests belong to {top.digest}, at most "
            f"{MOST_MANIFESTS:,} are moved at once"
        )
    return Tree(
        root=top, release=release, children=tuple(inner.values()), attached=tuple(outer.values())
    )


def read_release(top: Node, config: bytes) -> Release:
    """Return what a release's manifest says. Raises Corrupt if it is not that document's."""
    release = Release.parse(config)
    if release.digest != top.digest:
        raise Corrupt(f"the release {top.digest} has the document of {release.digest}")
    return release


def pins_of(release: Release | None) -> Sequence[Pin]:
    """Return the pins that are artifacts, each digest once."""
    pins = release.pins if release else ()
    return list({pin.digest: pin for pin in pins if pin.kind is not None}.values())


def attached_node(data: bytes, subject: Digest) -> Node | None:
    """Return a manifest as one that is attached; None if it is about something else."""
    manifest = Manifest.parse(data)
    if manifest.subject is None or manifest.subject.digest != subject:
        return None
    return Node(data=data, manifest=manifest, role=_ATTACHED_ROLE)


def _agreed(one: Descriptor, other: Descriptor) -> Descriptor:
    """Return what two manifests say of one blob. Raises Corrupt if they contradict each other."""
    claims: dict[str, str] = {}
    for key in (BLAKE3, TABLE):
        for said in (at.annotations[key] for at in (one, other) if key in at.annotations):
            if claims.setdefault(key, said) != said:
                raise Corrupt(
                    f"two manifests say that `{key}` of {one.digest} is {claims[key][:80]} and "
                    f"{said[:80]}"
                )
    if one.size != other.size:
        raise Corrupt(
            f"two manifests say that {one.digest} has {one.size:,} and {other.size:,} bytes"
        )
    return replace(one, annotations={**one.annotations, **claims})


def _local(layout: Layout, digest: Digest, role: str) -> Node:
    if not layout.blob(digest).exists():
        raise NotFound(
            f"the {role} {digest} is not in the store",
            hint="pull it first: lockgate model pull, lockgate release pull",
        )
    data = layout.read(digest)
    manifest = Manifest.parse(data)
    kind = "release" if manifest.artifact_type == Kind.RELEASE.artifact_type else role
    return Node(data=data, manifest=manifest, role=kind)
