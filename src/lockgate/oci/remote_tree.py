"""Reads what belongs together out of a repository, before any large blob is fetched."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from lockgate.domain.artifact import INDEX, Descriptor, Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.domain.release import Pin
from lockgate.errors import Corrupt, LockgateError, NotFound, UsageError
from lockgate.oci import chunks
from lockgate.oci.chunks import ChunkTable
from lockgate.oci.index import read_document
from lockgate.oci.registry.manifests import Fetched
from lockgate.oci.registry.repository import Repository
from lockgate.oci.tree import (
    CLOSURE,
    MOST_MANIFESTS,
    RELEASE_ANNOTATION,
    Node,
    Tree,
    attached_node,
    grown,
    pins_of,
    read_release,
)

_SUFFIX: Final = ".closure"

Trust: TypeAlias = Callable[[Tree, Repository], bool]
"""Says whether whoever made the tree may be believed about its chunk tables."""


def nobody(*_asked: object) -> bool:
    """Trust no tree: every blob is hashed by SHA-256."""
    return False


def remote_tree(source: Repository, label: str | Digest) -> Tree:
    """Read a tree out of a repository, from a tag or a digest of its root or of its closure.

    Raises:
        NotFound: the repository lacks it, or what it pins.
        Corrupt: a document is not what its digest, or who refers to it, says.
        UsageError: it is neither an artifact nor a closure.
        Denied, Unavailable: as `Manifests.get`.

    """
    found = source.manifests.get(label)
    listed: dict[Digest, Descriptor] = {}
    if found.media_type == INDEX:
        listed = _entries(found)
        found = source.manifests.get(_release_in(found, source))
    elif isinstance(label, str):
        listed = _closure_of(source, label)
    top = _node(found, "artifact")
    release = None
    if top.manifest.artifact_type == Kind.RELEASE.artifact_type:
        release = read_release(top, source.downloads.read(top.manifest.config))
        top = Node(data=top.data, manifest=top.manifest, role="release")
    children = tuple(_pinned(source, pin) for pin in pins_of(release))
    bodies = _Bodies(source)
    attached: list[Node] = []
    for node in (*children, top):
        hints = {at.digest: at for at in source.referrers.list(node.digest)}
        attached += bodies.about(node.digest, {**listed, **hints}.values())
    return grown(top, release, children, attached)


def tables_of(tree: Tree, source: Repository) -> Mapping[Digest, ChunkTable]:
    """Return the chunk tables that the manifests bind, by blob. A table that is gone is none.

    Raises:
        Corrupt: a table is not one, or of a blob of another size.

    """
    found: dict[Digest, ChunkTable] = {}
    for blob in tree.blobs().values():
        bound = blob.annotations.get(chunks.ANNOTATION)
        if bound is None or blob.size > chunks.MAX_BLOB_BYTES:
            continue
        try:
            digest = Digest.parse(bound)
        except LockgateError as error:
            raise Corrupt(f"`{chunks.ANNOTATION}` of {blob.digest}: {error.message}") from error
        at = Descriptor(
            media_type=chunks.MEDIA_TYPE, digest=digest, size=chunks.table_bytes(blob.size)
        )
        try:
            table = ChunkTable.parse(source.downloads.read(at))
        except NotFound:
            continue  # the blob is then fetched and verified as any other
        if table.size != blob.size:
            raise Corrupt(
                f"the chunk table of {blob.digest} is of {table.size:,} bytes, the blob has "
                f"{blob.size:,}"
            )
        found[blob.digest] = table
    return found


class _Bodies:
    """Fetches manifests that something lists, each once."""

    def __init__(self, source: Repository) -> None:
        self._source = source
        self._known: dict[Digest, bytes | None] = {}

    def about(self, subject: Digest, listed: Iterable[Descriptor]) -> list[Node]:
        """Return those whose own `subject` is that one."""
        found = []
        for at in listed:
            data = self._get(at.digest)
            node = None if data is None else attached_node(data, subject)
            if node is not None:
                found.append(node)
        return found

    def _get(self, digest: Digest) -> bytes | None:
        if digest not in self._known:
            if len(self._known) >= MOST_MANIFESTS:
                raise Corrupt(
                    f"`{self._source.place}` lists more than {MOST_MANIFESTS:,} manifests"
                )
            try:
                fetched = self._source.manifests.get(digest)
            except NotFound:
                self._known[digest] = None  # a list may be older than the last deletion
            else:
                image = fetched.media_type != INDEX
                self._known[digest] = fetched.data if image else None
        return self._known[digest]


def _node(found: Fetched, role: str) -> Node:
    return Node(data=found.data, manifest=Manifest.parse(found.data), role=role)


def _pinned(source: Repository, pin: Pin) -> Node:
    found = source.manifests.get(pin.digest)
    node = _node(found, pin.role)
    expected = pin.descriptor
    if len(found.data) != expected.size or node.manifest.artifact_type != expected.artifact_type:
        raise Corrupt(
            f"the release pins `{pin.name}` as `{expected.artifact_type}` with "
            f"{expected.size:,} bytes, {pin.digest} is `{node.manifest.artifact_type[:120]}` with "
            f"{len(found.data):,} bytes"
        )
    return node


def _release_in(found: Fetched, source: Repository) -> Digest:
    document = json.loads(found.data)
    annotations = document.get("annotations")
    said = annotations.get(RELEASE_ANNOTATION) if isinstance(annotations, dict) else None
    if document.get("artifactType") != CLOSURE or not isinstance(said, str):
        raise UsageError(
            f"`{source.place}@{found.digest}` is an index, and not the closure of a release",
            hint="name the tag or the digest of one manifest",
        )
    return Digest.parse(said)


def _closure_of(source: Repository, tag: str) -> dict[Digest, Descriptor]:
    """Return what the closure beside a tag lists; it is a hint, so it may be absent or broken."""
    try:
        found = source.manifests.get(f"{tag}{_SUFFIX}")
        return _entries(found) if found.media_type == INDEX else {}
    except (NotFound, Corrupt):
        return {}


def _entries(found: Fetched) -> dict[Digest, Descriptor]:
    return {
        at.digest: Descriptor(media_type=at.media_type, digest=at.digest, size=at.size)
        for at in read_document(found.data).references
    }
