"""Hosts that an answer may point to."""

import html
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote_to_bytes

Span = tuple[int, int]

_MOST_HOSTS = 64
"""Of one link or element. One that names more is taken."""

_AUTHORITY = re.compile(
    rb"(?i)(?:(?:https?|ftps?|wss?)\s?:[/\\]{0,4}|[A-Za-z][A-Za-z0-9+.-]{0,20}\s?:[/\\]{1,4}|[/\\]{2,4})([^\s/\\?#<>\"'`)]*)"
)
_MAIL = re.compile(rb"(?i)mailto:([^?\s)>\"']*)")
_WWW = re.compile(rb"(?i)www\.[a-z0-9.-]+")


def link_validator(allowed: Iterable[str]) -> Callable[[bytes, int, int], Iterable[Span]]:
    """Make the validator that takes what leads to a host outside `allowed`.

    `allowed` holds hosts, and `*.HOST` for those below one.
    """
    exact = frozenset(host.lower() for host in allowed if not host.startswith("*."))
    below = tuple(host[1:].lower() for host in allowed if host.startswith("*."))

    def validate(data: bytes, start: int, end: int) -> Iterable[Span]:
        for count, host in enumerate(_hosts(data[start:end])):
            if count == _MOST_HOSTS or (host not in exact and not (below and host.endswith(below))):
                return ((start, end),)
        return ()

    return validate


def _hosts(value: bytes) -> Iterator[str]:
    if b"\\" in value:
        # Readers differ on what it means: a slash to browsers, a part of the name to others.
        yield ""
        return
    if b"&" in value:
        value = html.unescape(value.decode("utf-8", "replace")).encode("utf-8", "replace")
    if mail := _MAIL.search(value):
        for address in unquote_to_bytes(mail[1]).split(b","):
            yield _host(address)
        return
    found = False
    for match in _AUTHORITY.finditer(value):
        found = True
        yield _host(match[1])
    if found:
        return
    if www := _WWW.search(value):
        yield www[0].decode().lower().rstrip(".").removeprefix("www.")


def _host(authority: bytes) -> str:
    """Return the host as browsers read it: what stands behind the last `@` (WHATWG URL, 4.4)."""
    host = authority.rpartition(b"@")[2].decode("utf-8", "replace").lower()
    if not host.startswith("["):
        host = host.partition(":")[0]
    return host.rstrip(".,;!*_")
