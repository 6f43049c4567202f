"""What is attached to a manifest: signatures, attestations, chunk tables.

Protocol: distribution-spec 1.1, "Listing Referrers" and "Pushing Manifests with Subject". Where a
registry has no referrers API, an index under the tag `sha256-<hex>` lists them. Its clients write
that index themselves, so two of them can overwrite each other.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lockgate.domain.artifact import INDEX, MAX_MANIFEST_BYTES, Descriptor, Manifest
from lockgate.domain.digest import Digest, canonical
from lockgate.errors import Corrupt, NotFound, Unavailable
from lockgate.oci.blobs import Blobs
from lockgate.oci.registry.answers import NOT_FOUND, OK, refuse
from lockgate.oci.registry.client import Registry, Request
from lockgate.oci.registry.manifests import Manifests, following

_MOST: Final = 4096
_MOST_PAGES: Final = 64
_TRIES: Final = 6
_WAIT_S: Final = 0.2


class Referrers:
    """The referrers of one repository's manifests."""

    def __init__(self, registry: Registry, repository: str, manifests: Manifests) -> None:
        self._registry = registry
        self._repository = repository
        self._manifests = manifests

    def list(self, subject: Digest, *, artifact_type: str = "") -> Sequence[Descriptor]:
        """Return what says that it is about `subject`, ordered by digest; perhaps nothing.

        What a registry says here is a hint: only the `subject` in a manifest's own bytes counts.

        Raises:
            Denied: the account may not.
            Corrupt: the list is not one.
            Unavailable: the registry failed too often.

        """
        entries = self._from_api(subject)
        if entries is None:
            entries = self._from_tag(subject)
        found = {at.digest: at for at in map(Descriptor.parse, entries)}
        wanted = [at for at in found.values() if artifact_type in {"", at.artifact_type}]
        return sorted(wanted, key=lambda at: at.digest)

    def push(self, documents: Iterable[bytes], layout: Blobs) -> None:
        """Store manifests with a `subject`, and make them be listed. Their blobs are there already.

        The lock is one of this machine. A writer elsewhere that overwrites the list is noticed by
        reading it again, and then it is written once more.

        Raises:
            Corrupt: a manifest has no subject.
            UsageError: the registry does not take one.
            Denied: the account may not.
            Unavailable: the registry failed, or others kept overwriting the list.

        """
        unlisted: dict[Digest, list[Descriptor]] = {}
        for data in documents:
            manifest = Manifest.parse(data)
            if manifest.subject is None:
                raise Corrupt("the manifest has no `subject`, so it cannot be attached to one")
            subject = manifest.subject.digest
            if self._manifests.put(data, manifest.media_type) != str(subject):
                unlisted.setdefault(subject, []).append(_listed(manifest, data))
        for subject, added in unlisted.items():
            self._list_under_tag(subject, added, layout)

    def _from_api(self, subject: Digest) -> Sequence[Mapping[str, Any]] | None:
        """Return the entries; None if the registry has no such API."""
        url = f"/v2/{self._repository}/referrers/{subject}"
        scopes = (f"repository:{self._repository}:pull",)
        found: list[Mapping[str, Any]] = []
        for _ in range(_MOST_PAGES):
            answer = self._registry.ask(
                Request(method="GET", url=url, scopes=scopes, headers={"Accept": INDEX})
            )
            if answer.status == NOT_FOUND:
                return None
            if answer.status != OK:
                refuse(answer, f"the referrers of `{self._repository}@{subject}`")
            # Some servers answer every path with a page of their own.
            if answer.header("content-type").partition(";")[0].strip() != INDEX:
                return None
            found += _entries(answer.data, subject)
            link = following(answer)
            if not link:
                return found
            url = self._registry.absolute(link, self._registry.absolute(url))
            if len(found) > _MOST:
                break
        raise Corrupt(
            f"`{self._repository}@{subject}` has more than {_MOST:,} referrers, "
            f"or more than {_MOST_PAGES} pages of them"
        )

    def _from_tag(self, subject: Digest) -> Sequence[Mapping[str, Any]]:
        try:
            fetched = self._manifests.get(fallback_tag(subject))
        except NotFound:
            return ()
        return _entries(fetched.data, subject)

    def _list_under_tag(self, subject: Digest, added: Sequence[Descriptor], layout: Blobs) -> None:
        tag = fallback_tag(subject)
        with layout.lock(f"referrers-{subject.hex}"):
            entries = self._from_tag(subject)
            for attempt in range(_TRIES):
                lacking = _lacking(entries, added)
                if not lacking:
                    return
                listed = [*entries, *(at.document for at in lacking)]
                index = canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed})
                if len(index) > MAX_MANIFEST_BYTES:
                    raise Corrupt(
                        f"the list of referrers of {subject} has {len(index):,} bytes, at most "
                        f"{MAX_MANIFEST_BYTES:,} allowed"
                    )
                self._manifests.put(index, INDEX, tag=tag)
                entries = self._from_tag(subject)
                if _lacking(entries, added):
                    self._registry.pause(_WAIT_S * (attempt + 1))
            if _lacking(entries, added):
                raise Unavailable(
                    f"others overwrote the list of referrers of {subject} {_TRIES} times",
                    hint="push again: what is listed already stays",
                )


def fallback_tag(subject: Digest) -> str:
    """Return the tag that lists referrers (distribution-spec, "Referrers Tag Schema")."""
    return f"sha256-{subject.hex}"


def _lacking(
    entries: Iterable[Mapping[str, Any]], wanted: Iterable[Descriptor]
) -> Sequence[Descriptor]:
    here = {entry.get("digest") for entry in entries}
    return [at for at in wanted if str(at.digest) not in here]


def _listed(manifest: Manifest, data: bytes) -> Descriptor:
    return Descriptor(
        media_type=manifest.media_type,
        digest=Digest.of(data),
        size=len(data),
        # "Listing Referrers": without `artifactType`, the config's media type.
        artifact_type=manifest.artifact_type or manifest.config.media_type,
        annotations=manifest.annotations,
    )


def _entries(data: bytes, subject: Digest) -> Sequence[Mapping[str, Any]]:
    try:
        entries = json.loads(data)["manifests"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Corrupt(f"the list of referrers of {subject} is not an OCI index") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Corrupt(f"the list of referrers of {subject} is not an OCI index")
    if len(entries) > _MOST:
        raise Corrupt(f"{subject} has {len(entries):,} referrers, at most {_MOST:,} are read")
    return entries
