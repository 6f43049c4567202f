"""A request to an upstream, and the bytes that it is on the wire."""

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

# RFC 9110 section 5.6.2: a field name is a token; 5.5: a value has no control character but TAB.
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
# RFC 3986: what a path and a query may hold; no space, no control character, no fragment.
_TARGET = re.compile(rb"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_OURS = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"te", b"trailer"}
)
"""Headers that frame the message: only this module writes them."""


class Request(NamedTuple):
    """What is asked of an upstream. The host is the upstream's, and never part of a request."""

    method: bytes
    target: bytes
    body: bytes = b""
    headers: Headers = ()
    idempotent: bool = False
    """May be sent again when a kept connection turns out to be closed."""


def preamble(host: bytes, request: Request) -> bytes:
    """Return the head of `request` up to the length of its body: the same for many requests.

    Raises:
        ValueError: a part holds what could end a line or start another message.

    """
    if not _TOKEN.fullmatch(request.method):
        raise ValueError(f"not a method: {request.method!r}")
    if not _TARGET.fullmatch(request.target):
        raise ValueError(f"not a request target: {request.target!r}")
    if not _VALUE.fullmatch(host) or b" " in host or not host:
        raise ValueError(f"not a host: {host!r}")
    lines = [request.method + b" " + request.target + b" HTTP/1.1", b"host: " + host]
    for name, value in request.headers:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"not a header: {name!r}: {value!r}")
        if name.lower() in _OURS:
            raise ValueError(f"the header {name!r} frames the message")
        lines.append(name + b": " + value)
    return b"\r\n".join(lines) + b"\r\ncontent-length: "


def message(head: bytes, body: bytes) -> bytes:
    """Return the whole request; `head` is its preamble."""
    return b"%b%d\r\n\r\n%b" % (head, len(body), body)
