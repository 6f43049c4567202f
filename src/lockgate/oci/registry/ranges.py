"""Answers with bytes of a blob: are they those that were asked for? (RFC 9110 14)."""

from collections.abc import Iterator

import urllib3
from urllib3.exceptions import HTTPError

from lockgate.errors import Corrupt
from lockgate.oci.registry.answers import Interrupted, integer
from lockgate.oci.registry.transport import BLOCK, interrupted


def require_range(
    response: urllib3.BaseHTTPResponse, start: int, end: int, *, size: int, named: str
) -> None:
    """Refuse a 206 that holds other bytes than `start` to `end`, or those of another file.

    Raises:
        Corrupt: the file does not have `size` bytes.
        Interrupted: it is another range.

    """
    said = response.headers.get("content-range", "")
    total = integer(said.rpartition("/")[2])
    if total is not None and total != size:
        response.close()
        raise wrong_size(named, total, size)
    if said.removeprefix("bytes ").rpartition("/")[0] != f"{start}-{end - 1}":
        response.close()
        raise Interrupted(f"the server sent the range `{said[:60]}`, asked was `{start}-{end - 1}`")


def require_size(response: urllib3.BaseHTTPResponse, *, size: int, named: str) -> None:
    """Refuse a whole file of another size. Raises Corrupt."""
    said = integer(response.headers.get("content-length", ""))
    if said is not None and said != size:
        response.close()
        raise wrong_size(named, said, size)


def wrong_size(named: str, found: int | None, expected: int) -> Corrupt:
    """Return the error for a file of another size."""
    shown = "another size" if found is None else f"{found:,} bytes"
    return Corrupt(
        f"{named} has {shown}, expected {expected:,}",
        hint="the registry has another file than the manifest describes; nothing was kept",
    )


def blocks(response: urllib3.BaseHTTPResponse, count: int) -> Iterator[bytes]:
    """Read `count` bytes in blocks. Closes the connection unless they all came.

    Raises:
        Interrupted: the answer ended early.

    """
    left = count
    try:
        while left:
            block = response.read(min(BLOCK, left), decode_content=False)
            if not block:
                break
            left -= len(block)
            yield block
    except HTTPError as error:
        raise interrupted(error) from error
    finally:
        if left:
            response.close()
    if left:
        raise Interrupted(f"the answer ended {left:,} bytes early")


def release(response: urllib3.BaseHTTPResponse) -> None:
    """Give the connection back if the next answer begins where this one ends; else close it."""
    if response.length_remaining == 0:
        response.release_conn()
    else:
        response.close()
