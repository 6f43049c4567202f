"""Reads everything in the store and compares it with what it should be.

A manifest that matched its own SHA-256 may say the BLAKE3 of a blob; whatever brings a blob here
compares both, so at rest the quicker one is as good.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

from blake3 import blake3

from lockgate.domain.artifact import MANIFEST
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.index import DOCUMENTS, PINS, read_document
from lockgate.oci.kinds.table import fault
from lockgate.oci.layout import Layout

UNNAMED: Final = "(unnamed)"
ATTACHED: Final = " (attached)"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A file that is not what it should be."""

    path: Path
    digest: str
    """What it should have: its name in the store."""
    found: str
    """What it has; `missing`, or what else is wrong."""
    names: Sequence[str]
    """What leads to it, ending in ` (attached)` where only attestations do; nothing if it is
    garbage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The outcome of reading everything."""

    files: int
    size: int
    damages: Sequence[Damage]


@dataclass
class _Expected:
    """What the names of the store lead to."""

    names: dict[Digest, set[str]] = field(default_factory=dict)
    required: set[Digest] = field(default_factory=set)
    blake3: dict[Digest, set[str]] = field(default_factory=dict)
    manifests: set[Digest] = field(default_factory=set)

    def note(self, digest: Digest, name: str, *, required: bool) -> None:
        self.names.setdefault(digest, set()).add(name)
        if required:
            self.required.add(digest)


def check(
    layout: Layout, *, full: bool = False, advance: Callable[[int], None] | None = None
) -> Checked:
    """Hash every file of the store, several at a time. With `full`, by SHA-256 throughout.

    Then look at whether the artifacts are what their kinds promise.

    Raises:
        Corrupt: the index is not one.
        StorageFailed: a file cannot be read.

    """
    expected = _Expected()
    roots = layout.roots()
    for name, root in sorted(roots, key=lambda at: at[0] is None):
        for label in [name] if name else _subject_names(layout, root.digest, expected):
            _walk(layout, root.digest, label, expected)
    paths = {path.name: path for path in layout.blobs()}
    damages = [
        _damage(layout.blob(digest), expected, digest, "missing")
        for digest in expected.required
        if digest.hex not in paths
    ]
    size = 0
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        # The largest first, so that none of them is read alone at the end; a thread for a small
        # one costs more than its bytes.
        ordered = sorted(paths.values(), key=_size, reverse=True)
        large = [path for path in ordered if _size(path) > _BLOCK]
        judge = partial(_check, expected=expected, full=full)
        for read, damage in chain(pool.map(judge, large), map(judge, ordered[len(large) :])):
            size += read
            if advance is not None:
                advance(read)
            if damage is not None:
                damages.append(damage)
    damages += _faults(layout, expected, {damage.digest for damage in damages})
    damages.sort(key=lambda damage: (damage.digest, damage.found))
    return Checked(files=len(paths), size=size, damages=damages)


def _faults(layout: Layout, expected: _Expected, damaged: Collection[str]) -> Sequence[Damage]:
    """Return the manifests whose bytes are right, and that are not what their kind promises."""
    found = []
    for digest in sorted(expected.manifests):
        if str(digest) not in damaged and layout.blob(digest).exists():
            said = fault(layout, digest)
            if said:
                found.append(_damage(layout.blob(digest), expected, digest, said))
    return found


def _subject_names(layout: Layout, digest: Digest, expected: _Expected) -> Collection[str]:
    """Return what leads to the subject of a manifest that has no name, and say so in each."""
    found: set[str] = set()
    with suppress(Corrupt):
        subject = read_document(layout.read(digest)).subject
        found = expected.names.get(subject, found) if subject else found
    return [f"{name.removesuffix(ATTACHED)}{ATTACHED}" for name in sorted(found)] or [UNNAMED]


def _walk(layout: Layout, root: Digest, name: str, expected: _Expected) -> None:
    """Note what a manifest leads to, as far as its documents are whole."""
    pending = [(root, MANIFEST, True)]
    opened: set[Digest] = set()
    while pending:
        digest, media_type, required = pending.pop()
        expected.note(digest, name, required=required)
        if media_type not in DOCUMENTS or digest in opened:
            continue
        opened.add(digest)
        if media_type != PINS:
            expected.manifests.add(digest)
        # What is missing or damaged shows when it is hashed; what it leads to is not known then.
        with suppress(Corrupt):
            for at in read_document(layout.read(digest)).references:
                pending.append((at.digest, at.media_type, required and media_type != PINS))
                if at.blake3:
                    expected.blake3.setdefault(at.digest, set()).add(at.blake3)


def _check(path: Path, expected: _Expected, *, full: bool) -> tuple[int, Damage | None]:
    """Return the bytes read, and what is wrong."""
    try:
        digest = Digest(path.name)
    except ValueError:
        return 0, Damage(path=path, digest="", found="its name is no digest", names=())
    claims = set() if full else expected.blake3.get(digest, set())
    try:
        size, found = _compare(path, digest, claims)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and digest not in expected.required:
            return 0, None  # another process took it away meanwhile
        size, found = 0, f"unreadable: {(error.strerror or str(error)).lower()}"
    return size, _damage(path, expected, digest, found) if found else None


def _compare(path: Path, digest: Digest, claims: Collection[str]) -> tuple[int, str]:
    """Return the bytes read, and what the file has instead; empty if every byte is right."""
    if claims:
        size, found = _hash(path, blake3())
        if set(claims) == {f"blake3:{found}"}:
            return size, ""
    size, found = _hash(path, hashlib.sha256())
    if found != digest.hex:
        return size, f"sha256:{found}"
    said = ", ".join(sorted(claims))
    return size, f"{digest}, but a manifest says {said}" if claims else ""


def _hash(path: Path, hasher: "_Hasher") -> tuple[int, str]:
    buffer, size = bytearray(_BLOCK), 0
    view = memoryview(buffer)
    with FileIO(path) as file:
        while count := file.readinto(buffer):
            hasher.update(view[:count])
            size += count
    return size, hasher.hexdigest()


class _Hasher(Protocol):
    def update(self, data: memoryview, /) -> object: ...
    def hexdigest(self) -> str: ...


def _damage(path: Path, expected: _Expected, digest: Digest, found: str) -> Damage:
    names = sorted(expected.names.get(digest, ()))
    return Damage(path=path, digest=str(digest), found=found, names=names)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
