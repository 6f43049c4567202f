"""Addresses of artifacts in registries: `oci://host[:port]/repository[:tag][@sha256:<hex>]`.

Grammar: OCI distribution-spec 1.1, "Pulling manifests" (names and tags).
"""

import re
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final, Self

from lockgate.domain.digest import Digest
from lockgate.errors import UsageError

SCHEME: Final = "oci://"
_LONGEST: Final = 1024
_LONGEST_NAME: Final = 255  # distribution-spec: many clients limit host and name together to this
_HIGHEST_PORT: Final = 65535
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]{{2,45}}\]", re.ASCII)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_HINT: Final = "write `oci://host[:port]/repository:tag`, or `@sha256:…` for a digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where an artifact is. `Reference.parse(str(r)) == r`."""

    host: str
    """With its port, as in the Host header."""
    repository: str
    tag: str = ""
    digest: Digest | None = None
    """Wins over the tag, which is then a remark."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            UsageError: it is not one.

        """
        if len(text) > _LONGEST or not text.startswith(SCHEME):
            raise _refused(text, f"does not begin with `{SCHEME}`")
        rest, at, written = text.removeprefix(SCHEME).partition("@")
        if "@" in written or (at and not written.startswith("sha256:")):
            raise _refused(
                text, "has an `@` that no digest follows; credentials do not belong here"
            )
        host, slash, path = rest.partition("/")
        name, colon, tag = path.partition(":")
        if not slash or not is_host(host):
            raise _refused(text, f"has no usable host: `{host[:80]}`")
        if not is_repository(name):
            raise _refused(text, f"has no usable repository: `{name[:80]}`")
        if colon and not is_tag(tag):
            raise _refused(text, f"has no usable tag: `{tag[:80]}`")
        digest = Digest.parse(written) if at else None
        return cls(host=host.lower(), repository=name, tag=tag, digest=digest)

    @property
    def label(self) -> str:
        """What is asked of the registry: the digest, else the tag, else `latest`."""
        return str(self.digest) if self.digest else self.tag or "latest"

    def at(self, digest: Digest) -> Self:
        """Return the same place with a digest."""
        return replace(self, digest=digest)

    def tagged(self, tag: str) -> Self:
        """Return the same place with another tag, and no digest. Raises UsageError for no tag."""
        if not is_tag(tag):
            raise UsageError(f"`{tag[:80]}` is not a tag", hint=f"tags match `{_TAG.pattern}`")
        return replace(self, tag=tag, digest=None)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{SCHEME}{self.host}/{self.repository}{tag}{digest}"


def is_host(text: str) -> bool:
    """Say whether `text` is `host` or `host:port`."""
    name, port = split_host(text)
    if len(text) > _LONGEST_NAME or _HOST.fullmatch(name) is None:
        return False
    if name.startswith("[") and not _is_address(name[1:-1]):
        return False
    if port is None:
        return True
    decimal = port.isascii() and port.isdecimal() and len(port) <= len(str(_HIGHEST_PORT))
    return decimal and 0 < int(port) <= _HIGHEST_PORT


def is_repository(text: str) -> bool:
    """Say whether `text` can be the name of a repository."""
    components = text.split("/")
    return len(text) <= _LONGEST_NAME and all(map(_COMPONENT.fullmatch, components))


def is_tag(text: str) -> bool:
    """Say whether `text` can be a tag."""
    return _TAG.fullmatch(text) is not None


def split_host(text: str) -> tuple[str, str | None]:
    """Part `host:port`; an IPv6 address keeps its brackets. The port is None if there is none."""
    end = text.rfind("]")
    name, colon, port = text[end + 1 :].partition(":")
    return text[: end + 1] + name, port if colon else None


def is_loopback(host: str) -> bool:
    """Say whether `host` (with or without a port) names this machine, by its form alone."""
    name = split_host(host)[0].strip("[]").lower()
    if name == "localhost":
        return True
    return _is_address(name) and ip_address(name).is_loopback


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _refused(text: str, why: str) -> UsageError:
    # What stands before an `@` may be a password that somebody wrote into the address.
    shown = (
        text[:120] if "@" not in text or "@sha256:" in text else f"…{text[text.find('@') :][:80]}"
    )
    return UsageError(f"`{shown}` is not an address of an artifact: it {why}", hint=_HINT)
