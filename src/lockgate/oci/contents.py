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
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,254}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """A well-formed archive: all that its index leads to is there, and nothing else."""

    named: Mapping[str, Descriptor]
    attached: Sequence[Digest]
    blobs: Mapping[Digest, Member]


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
        named: dict[str, Descriptor] = {}
        others: list[Digest] = []
        reached: dict[Digest, Member] = {}
        for entry in entries:
            at = descriptor(entry, path)
            if at.media_type not in DOCUMENTS - {PINS}:
                raise Corrupt(f"the archive's index lists a `{at.media_type[:80]}`, not a manifest")
            name = annotation(entry, REF_NAME)
            if name is None:
                others.append(at.digest)
            elif name in named or _NAME.fullmatch(name) is None:
                raise Corrupt(
                    f"the archive's index has the name `{name[:80]!r}` twice or malformed"
                )
            else:
                named[name] = at
            _reach(file, found, at, reached)
    _require_nothing_else(found, reached)
    return Contents(named=named, attached=others, blobs=reached)


def _members(file: BinaryIO, size: int) -> Mapping[str, Member]:
    found: dict[str, Member] = {}
    for member in members(file, size, most=_MOST_MEMBERS):
        name = member.name
        if name not in {INDEX_FILE, MARKER_FILE} and _BLOB.fullmatch(name) is None:
            raise Corrupt(
                f"the archive holds `{name[:120]}`",
                hint=f"only `{MARKER_FILE}`, `{INDEX_FILE}` and `{BLOBS}<64 hex digits>` may be "
                "in it; nothing was taken",
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


def _reach(
    file: BinaryIO, found: Mapping[str, Member], root: Descriptor, reached: dict[Digest, Member]
) -> None:
    """Add to `reached` all that a manifest leads to, or refuse."""
    pending = [(root.digest, root.media_type, root.size, True)]
    opened: set[Digest] = set()
    while pending:
        digest, media_type, size, required = pending.pop()
        member = found.get(BLOBS + digest.hex)
        if member is None:
            if required:
                raise Corrupt(f"the archive lacks {digest}, which its index leads to")
            continue  # what a release pins may be elsewhere, in the package for example
        if member.size != size:
            raise Corrupt(
                f"the archive's {digest} has {member.size:,} bytes, expected {size:,}",
                hint="nothing was taken",
            )
        reached[digest] = member
        if media_type in DOCUMENTS and digest not in opened:
            opened.add(digest)
            data = _small(file, found, member.name, MAX_MANIFEST_BYTES)
            if Digest.of(data) != digest:
                raise other_bytes(digest, Digest.of(data))
            within = required and media_type != PINS
            inside = read_document(data).references
            pending.extend((at.digest, at.media_type, at.size, within) for at in inside)


def _require_subject(file: BinaryIO, member: Member, digest: Digest) -> Digest:
    if read_document(_small(file, {"": member}, "", MAX_MANIFEST_BYTES)).subject is None:
        raise Corrupt(
            f"the archive's index lists {digest}, which has neither a name nor a `subject`",
            hint=f"write it with a name: the annotation `{REF_NAME}`",
        )
    return digest


def other_bytes(expected: Digest, found: Digest) -> Corrupt:
    """Return the error for a member that is not what its name says."""
    return Corrupt(
        f"the archive has bytes with the digest {found} as {expected}", hint="nothing was taken"
    )


def _require_nothing_else(found: Mapping[str, Member], reached: Mapping[Digest, Member]) -> None:
    extra = found.keys() - {at.name for at in reached.values()} - {INDEX_FILE, MARKER_FILE}
    if extra:
        raise Corrupt(
            f"the archive holds `{min(extra)}`, which nothing in it leads to",
            hint="nothing was taken",
        )
