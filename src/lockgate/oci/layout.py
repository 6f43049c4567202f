"""A local OCI image layout: files by digest, and an index that names some of them.

Formats: OCI image-spec 1.1, `image-layout.md` and `image-index.md`.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate.domain.artifact import Descriptor, Manifest
from lockgate.domain.digest import Digest, Json
from lockgate.errors import Corrupt
from lockgate.oci.blobs import Blobs
from lockgate.oci.disk import replace_file, storage, translated
from lockgate.oci.index import (
    REF_NAME,
    SUBJECT,
    Document,
    Entry,
    Incomplete,
    annotation,
    descriptor,
    encode_index,
    parse_index,
    reachable,
    read_document,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """What belongs together, by digest."""

    needed: frozenset[Digest]
    pinned: frozenset[Digest]
    """What only a release's pins lead to: it may be elsewhere, in the package for example."""
    attached: frozenset[Digest]
    """The manifests among these that have no name and live with their subject."""

    @property
    def all(self) -> frozenset[Digest]:
        """Return both."""
        return self.needed | self.pinned


class Layout(Blobs):
    """The store below one folder: what is listed is whole, and nothing else is ever shown.

    Safe for several processes; survives `kill -9` at any point. Reading never writes.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._listed: tuple[bytes | None, Sequence[Entry]] = (None, ())

    def manifests(self) -> Mapping[str, Descriptor]:
        """Return the named manifests; nothing if there is no store yet.

        Raises:
            Corrupt: the index is not one.

        """
        found: dict[str, Descriptor] = {}
        for entry in self._entries():
            name = annotation(entry, REF_NAME)
            if name is not None:
                found[name] = descriptor(entry, self._index_file)
        return found

    def name(self, name: str, manifest: Descriptor) -> bool:
        """Let `name` stand for `manifest`. Return False if a blob of it is missing."""
        return self.publish({name: manifest})

    def publish(self, named: Mapping[str, Descriptor], attached: Iterable[Digest] = ()) -> bool:
        """Make manifests that are stored visible, all or none. False if a blob is missing.

        What `attached` holds has a subject and gets no name. The check and the listing are one
        step under the lock that `forget` holds too: nothing becomes visible without its files.

        Raises:
            Corrupt: a document that is here is damaged.
            StorageFailed: the disk is full or read-only.

        """
        wanted = [_entry(name, manifest) for name, manifest in named.items()]
        with self.lock("index"):
            for digest in attached:
                data = self._read_or_none(digest)
                if data is None:
                    return False
                wanted.append(attachment(data))
            if not self._complete([Digest.parse(str(entry["digest"])) for entry in wanted]):
                return False
            here = self._entries()
            digests = {entry.get("digest") for entry in here}
            if not all(entry in here for entry in wanted):
                added = [at for at in wanted if _named(at) or at["digest"] not in digests]
                self._replace_names(named, added)
        return True

    def forget(self, name: str) -> int:
        """Take a name away, and what only it led to. Return the bytes freed.

        Attestations go with their subject, and files stay that another manifest uses.
        """
        with self.lock("index"):
            return self._replace_names([name], [])

    def attach(self, manifest: bytes) -> Descriptor:
        """Store a manifest that has a `subject`, and list it. Its blobs are here already.

        Once listed it lives as long as its subject is reachable. Attaching again changes nothing.

        Raises:
            Corrupt: it is not an image manifest, has no subject, or a blob of it is missing.
            StorageFailed: the disk is full or read-only.

        """
        attachment(manifest)
        digest = self.put(manifest)
        if not self.publish({}, [digest]):
            raise Corrupt(
                f"a blob of the manifest {digest} is not in the store",
                hint="attach again: another process may have removed it in between",
            )
        return _referrer(Manifest.parse(manifest), digest, len(manifest))

    def referrers(self, subject: Digest, *, artifact_type: str = "") -> Sequence[Descriptor]:
        """Return the attached manifests whose `subject` is that one, ordered by digest.

        The index only says where to look: what a manifest is about stands in its own bytes.

        Raises:
            Corrupt: the index, or one of those manifests, is damaged or missing.

        """
        found: dict[Digest, Descriptor] = {}
        for entry in self._entries():
            hint = annotation(entry, SUBJECT)
            if annotation(entry, REF_NAME) is not None or hint not in {None, str(subject)}:
                continue
            digest = descriptor(entry, self._index_file).digest
            try:
                data = self.read(digest)
                manifest = Manifest.parse(data)
            except Corrupt:
                if hint is None:
                    continue  # what another tool listed says nothing about this subject
                raise
            if manifest.subject is not None and manifest.subject.digest == subject:
                found[digest] = _referrer(manifest, digest, len(data))
        wanted = [at for at in found.values() if artifact_type in {"", at.artifact_type}]
        return sorted(wanted, key=lambda at: at.digest)

    def attached(self) -> Mapping[Digest, Digest]:
        """Return the manifests that live as long as their subject, with it.

        Raises:
            Corrupt: the index, or one of them, is damaged or missing.

        """
        return self._attached(self._entries())

    def roots(self) -> Sequence[tuple[str | None, Descriptor]]:
        """Return what the index lists, with its name. Raises Corrupt if it is not an index."""
        return [
            (annotation(entry, REF_NAME), descriptor(entry, self._index_file))
            for entry in self._entries()
        ]

    def unlist(self, gone: Container[Digest]) -> None:
        """Take entries out of the index. The caller holds the lock `index`."""
        entries = [(descriptor(at, self._index_file).digest, at) for at in self._entries()]
        self._write_index(entry for digest, entry in entries if digest not in gone)

    def closure(self, roots: Iterable[Digest]) -> Closure:
        """Return what belongs together: all that `roots` lead to, and what is attached to it.

        Raises:
            Corrupt: a document is damaged or missing.

        """
        attached = self._attached(self._entries())
        found = reachable(roots, attached, self._document)
        return Closure(
            needed=frozenset(at for at, required in found.items() if required),
            pinned=frozenset(at for at, required in found.items() if not required),
            attached=frozenset(at for at in attached if at in found),
        )

    @property
    def _index_file(self) -> Path:
        return self._root / "index.json"

    def _entries(self) -> Sequence[Entry]:
        try:
            data = self._index_file.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise translated(error, self._index_file) from error
        # Comparing bytes is exact, and a hundred times cheaper than parsing a long index again.
        if self._listed[0] != data:
            self._listed = data, parse_index(data, self._index_file)
        return self._listed[1]

    def _write_index(self, entries: Iterable[Json]) -> None:
        with storage(self._index_file):
            replace_file(self._index_file, self.ingest, encode_index(entries))

    def _replace_names(self, names: Container[str | None], entries: Sequence[Entry]) -> int:
        """List `entries` instead of those called `names`; delete what nothing leads to now.

        Return the bytes freed. The index goes first: a crash in between leaves unused files, not
        a broken model.
        """
        before = self._entries()
        others = [entry for entry in before if annotation(entry, REF_NAME) not in names]
        kept = [*others, *entries]
        unused: set[Digest] = set()
        if len(others) < len(before):
            # Where a document cannot be read, better some bytes too many than a missing file.
            with suppress(Corrupt):
                attached = self._attached(before)
                used = self._reachable(kept, attached)
                unused = {at for at in self._reachable(before, attached) if at not in used}
        gone = {str(digest) for digest in unused}
        self._write_index(entry for entry in kept if entry.get("digest") not in gone)
        return sum(self.discard(self.blob(digest)) for digest in sorted(unused))

    def _attached(self, entries: Iterable[Entry]) -> Mapping[Digest, Digest]:
        """Return the manifests that live as long as their subject, with it."""
        found: dict[Digest, Digest] = {}
        for entry in entries:
            if annotation(entry, REF_NAME) is None:
                digest = descriptor(entry, self._index_file).digest
                subject = read_document(self.read(digest)).subject
                if subject is not None:
                    found[digest] = subject
        return found

    def _reachable(
        self, entries: Iterable[Entry], attached: Mapping[Digest, Digest]
    ) -> Mapping[Digest, bool]:
        roots = []
        for entry in entries:
            digest = descriptor(entry, self._index_file).digest
            if annotation(entry, REF_NAME) is not None or digest not in attached:
                roots.append(digest)
        return reachable(roots, attached, self._document)

    def _complete(self, roots: Iterable[Digest]) -> bool:
        try:
            found = reachable(roots, {}, self._document)
        except Incomplete:
            return False
        return all(self.blob(at).exists() for at, required in found.items() if required)

    def _document(self, digest: Digest) -> Document | None:
        data = self._read_or_none(digest)
        return None if data is None else read_document(data)

    def _read_or_none(self, digest: Digest) -> bytes | None:
        return self.read(digest) if self.blob(digest).exists() else None


def _referrer(manifest: Manifest, digest: Digest, size: int) -> Descriptor:
    # OCI distribution-spec, "Listing Referrers": without `artifactType`, the config's media type.
    return Descriptor(
        media_type=manifest.media_type,
        digest=digest,
        size=size,
        artifact_type=manifest.artifact_type or manifest.config.media_type,
        annotations=manifest.annotations,
    )


def _entry(name: str, manifest: Descriptor) -> dict[str, Json]:
    return {
        "mediaType": manifest.media_type,
        "digest": str(manifest.digest),
        "size": manifest.size,
        "annotations": {REF_NAME: name},
    }


def _named(entry: Entry) -> bool:
    return annotation(entry, REF_NAME) is not None


def attachment(data: bytes) -> dict[str, Json]:
    """Return the entry for a manifest that has a subject. Raises Corrupt if it has none."""
    manifest = Manifest.parse(data)
    if manifest.subject is None:
        raise Corrupt("the manifest has no `subject`, so it cannot be attached to one")
    found = _referrer(manifest, Digest.of(data), len(data))
    listed = {**found.annotations, SUBJECT: str(manifest.subject.digest)}
    listed.pop(REF_NAME, None)  # it would be a name
    return replace(found, annotations=listed).document
