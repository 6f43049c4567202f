"""Moves a release, or a single artifact, with all that belongs to it.

Order (OCI distribution-spec, "Pushing"): blobs, children, the root, what is attached, and the tag
last, so that a tag never leads to something incomplete. On the way in nothing gets a name in the
store before every byte is verified.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from lockgate.domain.artifact import INDEX, Descriptor
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, StorageFailed
from lockgate.oci.arrival import take_in
from lockgate.oci.chunks import CHUNK_BYTES
from lockgate.oci.kinds.table import require_valid
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.uploads import Advance
from lockgate.oci.remote_tree import Trust, nobody, remote_tree, tables_of
from lockgate.oci.tree import Tree, local_tree
from lockgate.ports import Progress

CLOSURE_SUFFIX: Final = ".closure"
_TRIES: Final = 3

Names = Callable[[Tree], Mapping[str, Descriptor]]
"""Says under which names a tree becomes visible in the store; refuses what it does not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was pushed, pulled or copied."""

    root: Digest
    manifests: int
    blobs: int
    size: int
    """Bytes of all blobs."""
    sent: int
    """Blobs that were not there before."""


def push_closure(
    layout: Layout,
    target: Repository,
    root: Digest,
    *,
    tag: str = "",
    mount_from: Sequence[str] = (),
    progress: Progress,
) -> Moved:
    """Bring what is in the store into a repository, and let `tag` stand for it.

    Blobs that another repository of the registry has (`mount_from`) are not sent.

    Raises:
        NotFound: the store lacks it, or what it pins.
        Corrupt: a file of the store does not match its digest.
        Denied: the account may not.
        UsageError: the registry does not take it.
        Unavailable: the registry failed too often.

    """
    tree = local_tree(layout, root)
    blobs = tree.blobs()
    absent = [blob for blob in blobs.values() if not layout.has(blob.digest, blob.size)]
    if absent:
        raise Corrupt(
            f"the store lacks {len(absent)} file(s) of {root}: {absent[0].digest} with "
            f"{absent[0].size:,} bytes",
            hint="lockgate store verify",
        )

    def bring(blob: Descriptor, advance: Advance) -> bool:
        if target.uploads.has(blob.digest, blob.size):
            advance(blob.size)
            return False
        for source in mount_from:
            if source != target.name and target.uploads.mount(blob.digest, source):
                advance(blob.size)
                return False
        target.uploads.push(blob.digest, layout.blob(blob.digest), advance)
        return True

    with _moving(progress, f"push {target.place}", blobs.values()) as advance:
        sent = _each(bring, blobs.values(), advance, target.registry)
    _publish(target, tree, tag, layout)
    return _moved(tree, blobs, sent)


def pull_closure(
    source: Repository,
    layout: Layout,
    label: str | Digest,
    *,
    names: Names,
    trusted: Trust = nobody,
    progress: Progress,
) -> Moved:
    """Bring what is in a repository into the store; visible at the end, in one step.

    `trusted` is asked once, with the root and what is attached to it, before any large blob is
    fetched. If it agrees, the chunk tables that the manifests bind stand for their SHA-256.

    Raises:
        NotFound: the repository lacks it, or what it pins.
        Corrupt: some bytes are not those of their digest; nothing of them is kept. Or an artifact
            is not what its kind promises; nothing gets a name.
        Denied: the account may not.
        Unavailable: the registry failed too often; what arrived is kept.
        StorageFailed: the disk is full or read-only; what arrived is kept.

    """
    layout.prepare()
    for _ in range(_TRIES):
        tree, named, moved = _fetch(source, layout, label, names, trusted, progress)
        for node in tree.nodes:
            layout.put(node.data)
        require_valid(layout, (node.digest for node in tree.nodes))
        if layout.publish(named, [node.digest for node in tree.attached]):
            return moved
        # Another process removed a blob between its arrival and its naming.
        label = tree.root.digest
    raise StorageFailed("blobs were removed while they were pulled", hint="pull again")


def copy(
    source: Repository,
    target: Repository,
    layout: Layout,
    label: str | Digest,
    *,
    tag: str = "",
    progress: Progress,
) -> Moved:
    """Bring what is in one repository into another, under `tag`.

    Within a registry blobs are mounted. Between two they go through the store, where nothing of
    them gets a name: `lockgate store gc` takes them away.

    Raises:
        As `pull_closure` and `push_closure`.

    """
    layout.prepare()
    tree = remote_tree(source, label)
    blobs = tree.blobs()
    tables = tables_of(tree, source)
    near = source.registry.host == target.registry.host

    def bring(blob: Descriptor, advance: Advance) -> bool:
        there = target.uploads.has(blob.digest, blob.size)
        if there or (near and target.uploads.mount(blob.digest, source.name)):
            advance(blob.size)
            return not there
        take_in(source, layout, blob, table=tables.get(blob.digest), advance=lambda _: None)
        target.uploads.push(blob.digest, layout.blob(blob.digest), advance)
        return True

    with _moving(progress, f"copy to {target.place}", blobs.values()) as advance:
        sent = _each(bring, blobs.values(), advance, target.registry, source.registry)
    _publish(target, tree, tag, layout)
    return _moved(tree, blobs, sent)


def _fetch(
    source: Repository,
    layout: Layout,
    label: str | Digest,
    names: Names,
    trusted: Trust,
    progress: Progress,
) -> tuple[Tree, Mapping[str, Descriptor], Moved]:
    tree = remote_tree(source, label)
    named = names(tree)
    tables = tables_of(tree, source)
    suffices = bool(tables) and trusted(tree, source)
    blobs = tree.blobs()

    def bring(blob: Descriptor, advance: Advance) -> bool:
        return take_in(
            source,
            layout,
            blob,
            table=tables.get(blob.digest),
            table_suffices=suffices,
            advance=advance,
        )

    with _moving(progress, f"pull {source.place}", blobs.values()) as advance:
        # A large blob takes all connections by itself.
        large = [blob for blob in blobs.values() if blob.size > CHUNK_BYTES]
        small = [blob for blob in blobs.values() if blob.size <= CHUNK_BYTES]
        sent = _each(bring, large, advance, source.registry, several=False)
        sent += _each(bring, small, advance, source.registry)
    return tree, named, _moved(tree, blobs, sent)


def _publish(target: Repository, tree: Tree, tag: str, layout: Layout) -> None:
    for node in (*tree.children, tree.root):
        target.manifests.put(node.data, node.manifest.media_type)
    layout.prepare()
    target.referrers.push((node.data for node in tree.attached), layout)
    if not tag:
        return
    if tree.release is not None:
        target.manifests.put(tree.closure(), INDEX, tag=f"{tag}{CLOSURE_SUFFIX}")
    target.manifests.put(tree.root.data, tree.root.manifest.media_type, tag=tag)


@contextmanager
def _moving(progress: Progress, label: str, blobs: Iterable[Descriptor]) -> Iterator[Advance]:
    """Show one bar for all blobs; the function may be called by several threads."""
    lock = threading.Lock()

    def advance(count: int) -> None:
        with lock:
            progress.advance(count)

    progress.start(label, sum(blob.size for blob in blobs))
    try:
        yield advance
    finally:
        progress.finish()


def _each(
    bring: Callable[[Descriptor, Advance], bool],
    blobs: Iterable[Descriptor],
    advance: Advance,
    *registries: Registry,
    several: bool = True,
) -> int:
    """Move all blobs, the large ones first and several at once; return how many went."""
    for registry in registries:
        registry.resume()
    ordered = sorted(blobs, key=lambda blob: -blob.size)
    count = registries[0].settings.connections if several else 1
    if count == 1:
        return sum([bring(blob, advance) for blob in ordered])
    try:
        return _together(bring, ordered, advance, count, registries)
    except Exception:
        # Every thread has ended. After Ctrl-C one may still run, and has to notice.
        for registry in registries:
            registry.resume()
        raise


def _together(
    bring: Callable[[Descriptor, Advance], bool],
    blobs: Iterable[Descriptor],
    advance: Advance,
    count: int,
    registries: Iterable[Registry],
) -> int:
    with ThreadPoolExecutor(count, thread_name_prefix="lockgate-blob") as pool:
        running = [pool.submit(bring, blob, advance) for blob in blobs]
        try:
            return sum([future.result() for future in running])
        except BaseException:
            for future in running:
                future.cancel()
            for registry in registries:
                registry.stop()
            raise


def _moved(tree: Tree, blobs: Mapping[Digest, Descriptor], sent: int) -> Moved:
    return Moved(
        root=tree.root.digest,
        manifests=len(tree.nodes),
        blobs=len(blobs),
        size=sum(blob.size for blob in blobs.values()),
        sent=sent,
    )
