"""Manifests and tags of one repository (distribution-spec 1.1, "Pulling" and "Pushing Manifests").

What comes is hashed before anything is read out of it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from lockgate.domain.artifact import INDEX, MANIFEST, MAX_MANIFEST_BYTES, Descriptor
from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt, LockgateError, UsageError
from lockgate.oci.reference import is_tag
from lockgate.oci.registry.answers import (
    CREATED,
    NOT_FOUND,
    OK,
    Answer,
    integer,
    refuse,
)
from lockgate.oci.registry.client import Registry, Request

_DOCKER: Final = "application/vnd.docker.distribution.manifest"
ACCEPT: Final = ", ".join((MANIFEST, INDEX, f"{_DOCKER}.v2+json", f"{_DOCKER}.list.v2+json"))
_PAGE: Final = 1000
_MOST_PAGES: Final = 1000
_LONGEST_LINK: Final = 4096
_MOST_TAGS: Final = 100_000
_NEXT = re.compile(r'<([^<>]{1,2000})>\s{0,8};\s{0,8}rel="?next"?')
_FALLBACK = re.compile(r"sha256-[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A manifest or an index, whose bytes match its digest."""

    data: bytes
    media_type: str

    @property
    def digest(self) -> Digest:
        """Of the bytes."""
        return Digest.of(self.data)

    @property
    def descriptor(self) -> Descriptor:
        """Where it is."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.data))


class Manifests:
    """The manifests of one repository."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self._registry = registry
        self._repository = repository
        self._path = f"/v2/{repository}/manifests"
        self._read = (f"repository:{repository}:pull",)
        self._write = (f"repository:{repository}:pull,push",)

    def get(self, label: str | Digest) -> Fetched:
        """Fetch by tag or by digest.

        Raises:
            NotFound: there is none.
            Denied: the account may not.
            Corrupt: the bytes are not those of the digest, or no manifest.
            Unavailable: the registry failed too often.

        """
        answer = self._ask("GET", label)
        if answer.status != OK:
            refuse(answer, self._named(label))
        found = Digest.of(answer.data)
        expected = label if isinstance(label, Digest) else _stated(answer)
        if expected is not None and found != expected:
            raise Corrupt(
                f"{self._named(label)} has the digest {found}, expected {expected}",
                hint="the registry, or something on the way, has other bytes; nothing was kept",
            )
        return Fetched(data=answer.data, media_type=_media_type(answer, self._named(label)))

    def head(self, label: str | Digest) -> Descriptor | None:
        """Ask what is there, without its bytes; None if nothing is.

        The digest of a tag is then what the registry says. Raises as `get`.
        """
        answer = self._ask("HEAD", label)
        if answer.status == NOT_FOUND:
            return None
        if answer.status != OK:
            refuse(answer, self._named(label))
        digest = label if isinstance(label, Digest) else _stated(answer)
        size = integer(answer.header("content-length"))
        if digest is None or size is None:
            return self.get(label).descriptor
        media_type = answer.header("content-type").partition(";")[0].strip() or MANIFEST
        return Descriptor(media_type=media_type, digest=digest, size=size)

    def put(self, data: bytes, media_type: str, *, tag: str = "") -> str:
        """Store a manifest under its digest, or under a tag; return the `OCI-Subject` header.

        Raises:
            UsageError: the registry does not take it: a child or a blob is missing, for example.
            Denied: the account may not.
            Corrupt: the registry says that it stored something else.
            Unavailable: the registry failed too often.

        """
        digest = Digest.of(data)
        label: str | Digest = tag or digest
        answer = self._registry.ask(
            Request(
                method="PUT",
                url=f"{self._path}/{label}",
                scopes=self._write,
                headers={"Content-Type": media_type, "Content-Length": str(len(data))},
                body=lambda: data,
            )
        )
        if answer.status != CREATED:
            refuse(answer, self._named(label))
        stored = _stated(answer)
        if stored is not None and stored != digest:
            raise Corrupt(
                f"{self._named(label)}: the registry stored {stored}, sent was {digest}",
                hint="do not use this registry for artifacts that are pinned by digest",
            )
        return answer.header("oci-subject")

    def tags(self) -> Sequence[str]:
        """Return all tags in the registry's order, without those that stand for referrers.

        Raises:
            NotFound: no such repository.
            UsageError: the list does not end, or is not one.

        """
        found: list[str] = []
        url = f"/v2/{self._repository}/tags/list?{urlencode({'n': _PAGE})}"
        for _ in range(_MOST_PAGES):
            answer = self._registry.ask(Request(method="GET", url=url, scopes=self._read))
            if answer.status != OK:
                refuse(answer, f"the tags of `{self._repository}`")
            found += [tag for tag in self._page(answer) if not _FALLBACK.fullmatch(tag)]
            link = following(answer)
            if not link:
                return found
            url = self._registry.absolute(link, self._registry.absolute(url))
            if len(found) > _MOST_TAGS:
                break
        raise UsageError(
            f"`{self._registry.host}/{self._repository}` lists more than {_MOST_TAGS:,} tags, or "
            f"more than {_MOST_PAGES:,} pages of them"
        )

    def _page(self, answer: Answer) -> Sequence[str]:
        try:
            tags = json.loads(answer.data)["tags"] or []
        except (ValueError, KeyError, TypeError, RecursionError):
            tags = None
        if not isinstance(tags, list) or not all(isinstance(t, str) and is_tag(t) for t in tags):
            raise Corrupt(f"the tags of `{self._repository}` are not a list of tags")
        return tags

    def _ask(self, method: str, label: str | Digest) -> Answer:
        return self._registry.ask(
            Request(
                method=method,
                url=f"{self._path}/{label}",
                scopes=self._read,
                headers={"Accept": ACCEPT},
            )
        )

    def _named(self, label: str | Digest) -> str:
        mark = "@" if isinstance(label, Digest) else ":"
        return f"`{self._registry.host}/{self._repository}{mark}{label}`"


def following(answer: Answer) -> str:
    """Return the address of the next page (RFC 8288); empty if this is the last."""
    found = _NEXT.search(answer.header("link")[:_LONGEST_LINK])
    return found[1] if found else ""


def _stated(answer: Answer) -> Digest | None:
    try:
        return Digest.parse(answer.header("docker-content-digest"))
    except LockgateError:
        return None  # absent, or of another algorithm: our own hash decides


def _media_type(answer: Answer, what: str) -> str:
    """Return the type that header and document agree on.

    Two readers that disagree on the type would see two different artifacts in the same bytes
    (CVE-2021-41190).
    """
    if len(answer.data) > MAX_MANIFEST_BYTES:
        raise Corrupt(f"{what} has {len(answer.data):,} bytes")
    try:
        document = json.loads(answer.data)
    except (ValueError, RecursionError) as error:
        raise Corrupt(
            f"{what} is not JSON", hint="see whether the address is that of a registry"
        ) from error
    if not isinstance(document, dict):
        raise Corrupt(f"{what} is not a JSON object")
    said = answer.header("content-type").partition(";")[0].strip()
    written = document.get("mediaType")
    if isinstance(written, str) and written:
        if said in ACCEPT.split(", ") and said != written:
            raise Corrupt(f"{what} came as `{said}`, and says of itself `{written[:120]}`")
        return written
    return said if said in ACCEPT.split(", ") else MANIFEST
