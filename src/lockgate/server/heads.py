"""What is wrong with the head of a request that the parser lets through."""

from collections.abc import Sequence

_ONCE = frozenset(
    {
        b"host",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"idempotency-key",
        b"x-api-key",
        b"x-lockgate-data-class",
    }
)
_CHUNKED = ("1.1", b"chunked")  # RFC 9112 section 6.1: HTTP/1.0 has none


def problem_of(
    version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> tuple[str, bool]:
    """Say what is wrong with a head, empty if nothing; and whether its client waits to be asked.

    Names of headers are in lower case.
    """
    if version not in {"1.1", "1.0"}:
        return "the request is not HTTP/1.1", False
    if not target.startswith(b"/") and target != b"*":
        return "the request target is not a path", False
    expects = False
    seen: set[bytes] = set()
    for name, value in headers:
        if name in _ONCE:
            if name in seen:
                return f"the header `{name.decode()}` is there twice", False
            seen.add(name)
        elif name == b"expect":
            expects = True
        elif name == b"transfer-encoding" and (version, value.lower()) != _CHUNKED:
            return "the transfer encoding is not the `chunked` of HTTP/1.1", False
    if version == "1.1" and b"host" not in seen:
        return "the header `host` is missing", False
    return "", expects
