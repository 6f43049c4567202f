"""Deletes what nothing in the store leads to."""

import os
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.disk import locked_now, storage
from lockgate.oci.layout import Layout

_BRIEF_S: Final = 60.0
"""No file of `ingest/` goes that is younger than this: small ones are written without a lock."""
_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """What was deleted, or would be."""

    blobs: Sequence[Path]
    attachments: Sequence[Digest]
    """Manifests whose subject is gone."""
    partials: Sequence[Path]
    """What a pull, an import or a packing left behind that was broken off."""
    size: int
    """Bytes of the files."""


def collect(
    layout: Layout,
    *,
    older_than_s: float,
    now: float,
    keep: Iterable[Digest] = (),
    dry_run: bool = False,
) -> Garbage:
    """Delete blobs that nothing leads to, and unfinished files that nobody works on.

    What is younger than `older_than_s` by the clock `now`, in seconds since 1970, stays: it may
    belong to a pull that goes on. `keep` holds manifests that others than the index refer to.

    Raises:
        Corrupt: a manifest is damaged or missing, so what it leads to is unknown. Nothing was
            deleted.
        StorageFailed: the disk is read-only.

    """
    if not layout.ingest.exists():
        return Garbage(blobs=(), attachments=(), partials=(), size=0)
    oldest = now - older_than_s
    with nullcontext() if dry_run else layout.lock("index"):
        orphans, blobs = _unreachable(layout, keep, oldest)
        size = sum(_size(path) for path in blobs)
        if not dry_run:
            # The index first: a crash in between leaves unused files.
            if orphans:
                layout.unlist(frozenset(orphans))
            for path in blobs:
                layout.discard(path)
    partials = _stale(layout, min(oldest, now - _BRIEF_S))
    if not dry_run:
        partials = [path for path in partials if _delete(layout, path)]
    return Garbage(
        blobs=blobs,
        attachments=orphans,
        partials=[path for path, _ in partials],
        size=size + sum(size for _, size in partials),
    )


def _unreachable(
    layout: Layout, keep: Iterable[Digest], oldest: float
) -> tuple[Sequence[Digest], Sequence[Path]]:
    """Return the attached manifests and the files that nothing leads to and that are old."""
    try:
        attached = layout.attached()
        roots = {at.digest for name, at in layout.roots() if name or at.digest not in attached}
        used = layout.closure([*roots, *(at for at in keep if layout.blob(at).exists())]).all
        lost = [manifest for manifest in attached if manifest not in used]
        young = [manifest for manifest in lost if _since(layout.blob(manifest)) > oldest]
        used |= layout.closure(young).all
    except Corrupt as error:
        raise Corrupt(
            f"nothing can be deleted while the store is damaged: {error.message}",
            hint="lockgate store verify",
        ) from error
    names = {digest.hex for digest in used}
    blobs = [
        path
        for path in layout.blobs()
        if path.name not in names and _is_digest(path.name) and _since(path) <= oldest
    ]
    return [manifest for manifest in lost if manifest not in young], blobs


def _stale(layout: Layout, oldest: float) -> list[tuple[Path, int]]:
    with storage(layout.ingest):
        found = sorted(layout.ingest.iterdir())
    return [(path, _size(path)) for path in found if _since(path) <= oldest]


def _delete(layout: Layout, stale: tuple[Path, int]) -> bool:
    """Delete an unfinished file unless a process holds its lock: the name up to the first dot."""
    path, _ = stale
    lock = layout.ingest / f"{path.name.partition('.')[0]}{_LOCK}"
    with storage(lock):
        held = locked_now(lock)
        if held is None:
            return False
        try:
            with suppress(FileNotFoundError, IsADirectoryError):
                path.unlink()
            lock.unlink(missing_ok=True)
        finally:
            held.close()
    return True


def _since(path: Path) -> float:
    """Return when a file came to its place, in seconds since 1970; the future if it is gone."""
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return float("inf")
    # A hard link keeps the time of its bytes; when it was made is the later of the two.
    return max(state.st_mtime, state.st_ctime)


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def _is_digest(name: str) -> bool:
    try:
        return Digest(name).hex == name
    except ValueError:
        return False
