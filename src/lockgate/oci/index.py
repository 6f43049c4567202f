"""What an image layout's `index.json` lists, and everything that this leads to.

Formats: OCI image-spec 1.1, `image-index.md` and `manifest.md` (`subject`).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lockgate.domain.artifact import INDEX, MANIFEST, Descriptor, Kind
from lockgate.domain.digest import Digest, Json, canonical
from lockgate.errors import Corrupt, LockgateError

REF_NAME: Final = "org.opencontainers.image.ref.name"
BLAKE3: Final = "io.lockgate.digest.blake3"
"""On a descriptor: the second digest of a blob, `blake3:<64 hex digits>`."""
SUBJECT: Final = "io.lockgate.subject"
"""On an entry without a name: the digest that its manifest's `subject` has. A hint for readers."""

_DOCKER = "application/vnd.docker.distribution.manifest"
PINS: Final = Kind.RELEASE.config_type
"""Of the document that names what a release pins."""
DOCUMENTS: Final = frozenset(
    {MANIFEST, INDEX, f"{_DOCKER}.v2+json", f"{_DOCKER}.list.v2+json", PINS}
)

Entry = Mapping[str, Any]


class Incomplete(Corrupt):
    """A document that others lead to is not in the store."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A descriptor inside a document, reduced to what reachability needs."""

    digest: Digest
    media_type: str
    size: int
    blake3: str
    """What an annotation claims; empty if none does."""


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest, an index or a release's config, as far as reachability goes."""

    references: tuple[Reference, ...]
    subject: Digest | None
    """What the document is about. It keeps the document alive, not the other way round."""


def parse_index(data: bytes, path: Path) -> Sequence[Entry]:
    """Return the entries of an `index.json`. Raises Corrupt if it is not one."""
    try:
        entries = json.loads(data)["manifests"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise broken(path) from error
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise broken(path)
    return entries


def encode_index(entries: Iterable[Json]) -> bytes:
    """Return the bytes of an `index.json`."""
    return canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)})


def annotation(entry: Entry, key: str) -> str | None:
    """Return an annotation of an entry; None if it has none, or not as text."""
    annotations = entry.get("annotations")
    value = annotations.get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else None


def descriptor(entry: Entry, path: Path) -> Descriptor:
    """Return where an entry's document is. Raises Corrupt if the entry does not say."""
    media_type, digest, size = (entry.get(k) for k in ("mediaType", "digest", "size"))
    try:
        if isinstance(media_type, str) and isinstance(digest, str) and isinstance(size, int):
            return Descriptor(media_type=media_type, digest=Digest.parse(digest), size=size)
    except LockgateError as error:
        raise broken(path) from error
    raise broken(path)


def read_document(data: bytes) -> Document:
    """Find the descriptors in a manifest, an index or a release's config, at any depth.

    Raises:
        Corrupt: it is not JSON, or has a malformed digest.

    """
    try:
        value = json.loads(data)
        top = value if isinstance(value, dict) else {}
        subject = top.get("subject")
        inside = [member for key, member in top.items() if key != "subject"] if top else value
        return Document(
            references=tuple(_references(inside)),
            subject=Digest.parse(str(subject["digest"])) if isinstance(subject, dict) else None,
        )
    except (ValueError, KeyError, RecursionError, LockgateError) as error:
        raise Corrupt("a document of the store is not a manifest, an index or a config") from error


def _references(value: object) -> Iterator[Reference]:
    pending = [value]
    while pending:
        at = pending.pop()
        if isinstance(at, list):
            pending.extend(at)
        elif isinstance(at, dict):
            pending.extend(at.values())
            digest, size = at.get("digest"), at.get("size")
            if isinstance(digest, str) and digest.startswith("sha256:") and isinstance(size, int):
                media_type, blake3 = str(at.get("mediaType", "")), annotation(at, BLAKE3) or ""
                yield Reference(Digest.parse(digest), media_type, size, blake3)


def reachable(
    roots: Iterable[Digest],
    attached: Mapping[Digest, Digest],
    read: Callable[[Digest], Document | None],
) -> Mapping[Digest, bool]:
    """Return everything that `roots` lead to, with what is attached to any of it.

    The value says whether it has to be here: what a release pins may be elsewhere, in the package
    for example. `attached` maps a manifest to its subject. `read` returns None for what is not
    here.

    Raises:
        Incomplete: a document that must be here is not, so what it leads to is unknown.
        Corrupt: a document cannot be read.

    """
    by_subject: dict[Digest, list[Digest]] = {}
    for manifest, subject in attached.items():
        by_subject.setdefault(subject, []).append(manifest)
    found: dict[Digest, bool] = {}
    opened: set[Digest] = set()
    pending = [(root, MANIFEST, True) for root in roots]
    while pending:
        digest, media_type, required = pending.pop()
        if media_type in DOCUMENTS and digest not in opened:
            opened.add(digest)
            document = read(digest)
            if document is None and required:
                raise Incomplete(f"the document {digest} is missing from the store")
            within = required and media_type != PINS
            inside = document.references if document else ()
            pending.extend((at.digest, at.media_type, within) for at in inside)
        if digest not in found:
            pending.extend((at, MANIFEST, True) for at in by_subject.get(digest, ()))
        found[digest] = found.get(digest, False) or required
    return found


def broken(path: Path) -> Corrupt:
    """Return the error for an `index.json` that is not one."""
    return Corrupt(
        f"`{path}` is not an OCI image index",
        hint="move it away and pull again: files that are there already are not fetched again",
    )
