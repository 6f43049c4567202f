"""What an archive says that it holds, checked before a byte of it is taken.

Everything in an archive is hostile until it matched a digest. The index leads to documents and
these lead to blobs; nothing else may be in the file, and each size is the one that was announced.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from lockgate.domain.artifact import MAX_MANIFEST_BYTES, Descriptor
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.disk import storage
from lockgate.oci.index import (
    DOCUMENTS,
    PINS,
    REF_NAME,
    Document,
    Reference,
    annotation,
    descriptor,
    parse_index,
    read_document,
)
from lockgate.oci.tar import Member, members

BLOBS: Final = "blobs/sha256/"
INDEX_FILE: Final = "index.json"
MARKER_FILE: Final = "oci-layout"
_MOST_MEMBERS: Final = 1 << 16
_MOST_MARKER_BYTES: Final = 1 << 10
_NOTHING: Final = "nothing was taken in"
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A well-formed archive: all that its index leads to is there, and nothing else."""

    named: Mapping[str, Descriptor]
    attached: Sequence[Digest]
    blobs: Mapping[Digest, Member]
    claims: Mapping[Digest, set[str]]
    """What manifests say is the BLAKE3 of a blob."""
    documents: Sequence[Digest]
    """The manifests, and other documents, among the blobs."""


def read_contents(file: BinaryIO, path: Path) -> Contents:
    """Check the form of an archive, and every document in it.

    Raises:
        Corrupt: it is no such archive, or not a whole one.

    """
    with storage(path):
        size = file.seek(0, 2)
        found = _members(file, size)
        _require_layout(_small(file, found, MARKER_FILE, _MOST_MARKER_BYTES))
        entries = parse_index(_small(file, found, INDEX_FILE, MAX_MANIFEST_BYTES), path)
        walk = _Walk(file, found)
        named: dict[str, Descriptor] = {}
        attached: list[Digest] = []
        for entry in entries:
            at = descriptor(entry, path)
            about = walk.reach(at)
            name = annotation(entry, REF_NAME)
            if name is None:
                attached.append(_with_subject(at.digest, about))
            elif name in named or _NAME.fullmatch(name) is None:
                raise Corrupt(f"the archive's index has a name twice or malformed: {name!r:.80}")
            else:
                named[name] = at
    extra = found.keys() - {at.name for at in walk.reached.values()} - {INDEX_FILE, MARKER_FILE}
    if extra:
        raise Corrupt(
            f"the archive holds `{min(extra)}`, which nothing in it leads to", hint=_NOTHING
        )
    return Contents(
        named=named,
        attached=attached,
        blobs=walk.reached,
        claims=walk.claims,
        documents=sorted(walk.opened),
    )


class _Walk:
    """Collects what manifests lead to, or refuses."""

    def __init__(self, file: BinaryIO, found: Mapping[str, Member]) -> None:
        self._file = file
        self._found = found
        self.opened: dict[Digest, Document] = {}
        self.reached: dict[Digest, Member] = {}
        self.claims: dict[Digest, set[str]] = {}

    def reach(self, root: Descriptor) -> Digest | None:
        """Follow a manifest of the index, and return its subject."""
        if root.media_type not in DOCUMENTS - {PINS}:
            raise Corrupt(f"the archive's index lists a `{root.media_type[:80]}`, not a manifest")
        pending = [(Reference(root.digest, root.media_type, root.size, ""), True)]
        while pending:
            at, required = pending.pop()
            member = self._found.get(BLOBS + at.digest.hex)
            if member is None:
                if required:
                    raise Corrupt(f"the archive lacks {at.digest}, which its index leads to")
                continue  # what a release pins may be elsewhere, in the package for example
            if member.size != at.size:
                raise Corrupt(
                    f"the archive's {at.digest} has {member.size:,} bytes, expected {at.size:,}",
                    hint=_NOTHING,
                )
            self.reached[at.digest] = member
            if at.blake3:
                self.claims.setdefault(at.digest, set()).add(at.blake3)
            if at.media_type in DOCUMENTS and at.digest not in self.opened:
                inside = self._open(at.digest, member).references
                within = required and at.media_type != PINS
                pending.extend((reference, within) for reference in inside)
        return self.opened[root.digest].subject

    def _open(self, digest: Digest, member: Member) -> Document:
        data = _small(self._file, self._found, member.name, MAX_MANIFEST_BYTES)
        if Digest.of(data) != digest:
            raise other_bytes(str(digest), str(Digest.of(data)))
        self.opened[digest] = read_document(data)
        return self.opened[digest]


def _with_subject(digest: Digest, subject: Digest | None) -> Digest:
    if subject is None:
        raise Corrupt(
            f"the archive's index lists {digest}, which has neither a name nor a `subject`",
            hint=f"write it with a name: the annotation `{REF_NAME}`",
        )
    return digest


def _members(file: BinaryIO, size: int) -> Mapping[str, Member]:
    found: dict[str, Member] = {}
    for member in members(file, size, most=_MOST_MEMBERS):
        name = member.name
        if name not in {INDEX_FILE, MARKER_FILE} and _BLOB.fullmatch(name) is None:
            raise Corrupt(
                f"the archive holds `{name[:120]}`",
                hint=f"only `{MARKER_FILE}`, `{INDEX_FILE}` and `{BLOBS}<64 hex digits>` may be "
                f"in it; {_NOTHING}",
            )
        if name in found:
            raise Corrupt(f"the archive holds `{name}` twice")
        found[name] = member
    return found


def _small(file: BinaryIO, found: Mapping[str, Member], name: str, most: int) -> bytes:
    member = found.get(name)
    if member is None:
        raise Corrupt(f"the archive has no `{name}`", hint="it is not an OCI image layout")
    if member.size > most:
        raise Corrupt(f"the archive's `{name}` has {member.size:,} bytes, at most {most:,} allowed")
    file.seek(member.offset)
    return file.read(member.size)


def _require_layout(data: bytes) -> None:
    try:
        version = json.loads(data)["imageLayoutVersion"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Corrupt(f"the archive's `{MARKER_FILE}` is not one") from error
    if version != "1.0.0":
        raise Corrupt(f"the archive has the layout version `{version!s:.40}`, expected `1.0.0`")


def other_bytes(expected: str, found: str) -> Corrupt:
    """Return the error for a member that is not what a descriptor says."""
    return Corrupt(f"the archive has bytes with the digest {found} as {expected}", hint=_NOTHING)
