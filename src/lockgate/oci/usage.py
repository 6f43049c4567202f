"""What takes the space in the store, each byte counted once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.domain.artifact import Kind, Manifest
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.integrity import UNNAMED
from lockgate.oci.layout import Layout

_KIND = "io.lockgate.kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one name leads to, with what is attached to it."""

    name: str
    kind: str
    """As its manifest says; empty if it does not say, or is damaged."""
    digest: Digest
    files: int
    size: int
    """Bytes of all its files."""
    own: int
    """Bytes that only this name leads to: what removing it would free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The store's files. `size = used + unused`; `partial` is beside them."""

    shares: Sequence[Share]
    files: int
    size: int
    used: int
    """Bytes that some name leads to, shared ones counted once."""
    unused: int
    """Bytes that `lockgate store gc` can free."""
    partial: int
    """Bytes of unfinished files."""


def measure(layout: Layout) -> Usage:
    """Count bytes by name. Reads documents, hashes nothing else.

    Raises:
        Corrupt: a manifest is damaged or missing, so what it leads to is unknown.

    """
    sizes = {path.name: path.lstat().st_size for path in layout.blobs()}
    attached = layout.attached()
    roots = {
        (name or UNNAMED, at.digest)
        for name, at in layout.roots()
        if name is not None or at.digest not in attached
    }
    closures = {root: layout.closure([root[1]]).all for root in roots}
    counts = Counter(digest for closure in closures.values() for digest in closure)
    shares = [
        Share(
            name=name,
            kind=kind_of_stored(layout, digest),
            digest=digest,
            files=sum(at.hex in sizes for at in closure),
            size=sum(sizes.get(at.hex, 0) for at in closure),
            own=sum(sizes.get(at.hex, 0) for at in closure if counts[at] == 1),
        )
        for (name, digest), closure in closures.items()
    ]
    used = sum(sizes.get(digest.hex, 0) for digest in counts)
    total = sum(sizes.values())
    return Usage(
        shares=sorted(shares, key=lambda share: (share.kind, share.name)),
        files=len(sizes),
        size=total,
        used=used,
        unused=total - used,
        partial=sum(_size(path) for path in _unfinished(layout)),
    )


def kind_of_stored(layout: Layout, digest: Digest) -> str:
    """Return what an artifact says that it is; empty if it is damaged or of no kind we know."""
    try:
        manifest = Manifest.parse(layout.read(digest))
    except Corrupt:
        return ""
    types = {kind.artifact_type: str(kind) for kind in Kind}
    said = manifest.annotations.get(_KIND, "")
    return said if said in types.values() else types.get(manifest.artifact_type, "")


def _unfinished(layout: Layout) -> Sequence[Path]:
    return list(layout.ingest.iterdir()) if layout.ingest.exists() else []


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
