"""One key as a file: the public half in the clear, then the private one, or where it is.

Both halves are PEM (RFC 7468) in one file, so that one rename puts a key in its place and halves of
two keys cannot meet. A key in a device has a line `uri: …` in place of the private half.
"""

from dataclasses import dataclass
from typing import Final

from lockgate.errors import Corrupt, UsageError
from lockgate.signing.keys import fingerprint, public_pem

MAX_BYTES: Final = 16 << 10
MAX_URI: Final = 2048
_BEGIN, _END = b"-----BEGIN PUBLIC KEY-----\n", b"-----END PUBLIC KEY-----\n"
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_PLAIN = b"-----BEGIN PRIVATE KEY-----"
_URI = b"uri: "


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """A key, without its private half."""

    name: str
    fingerprint: str
    pem: str
    """The public half."""
    encrypted: bool = False
    """Whether a passphrase is needed to sign with it."""
    uri: str = ""
    """Where the private half is, if a device or a service holds it."""


def with_private(public: bytes, private: bytes) -> bytes:
    """Return the file of a key that is on this machine. Both halves are PEM."""
    return public + private


def with_uri(public: bytes, uri: str) -> bytes:
    """Return the file of a key that a device or a service holds.

    Raises:
        UsageError: `uri` is not one line of printable ASCII.

    """
    if not 0 < len(uri) <= MAX_URI or not (uri.isascii() and uri.isprintable()):
        raise UsageError(f"`{uri[:80]}` is not the address of a key")
    return _URI + uri.encode() + b"\n" + public


def parse(name: str, data: bytes) -> tuple[KeyInfo, bytes]:
    """Return what the file says of the key, and the PEM of its private half: empty for a device.

    Raises:
        Corrupt: it is not the file of a key.

    """
    damaged = Corrupt(
        f"the file of the key `{name}` is damaged",
        hint="put it back from your backup, or remove it and make another key",
    )
    head, begin, rest = data.partition(_BEGIN)
    body, end, private = rest.partition(_END)
    if not end or len(data) > MAX_BYTES:
        raise damaged
    try:
        pem = public_pem(begin + body + end)
        uri = _uri(head)
    except (UsageError, ValueError) as error:
        raise damaged from error
    encrypted = private.startswith(_ENCRYPTED)
    if bool(uri) == bool(private) or not (uri or encrypted or private.startswith(_PLAIN)):
        raise damaged
    info = KeyInfo(
        name=name,
        fingerprint=fingerprint(pem),
        pem=pem.decode("ascii"),
        encrypted=encrypted,
        uri=uri,
    )
    return info, private


def _uri(head: bytes) -> str:
    if not head:
        return ""
    line = head.removesuffix(b"\n")
    if not line.startswith(_URI) or b"\n" in line:
        raise ValueError("not a line with a URI")
    return line.removeprefix(_URI).decode("ascii")
