"""The secrets of API keys: 256 random bits, with a prefix that scanners find and a checksum.

`lgk_` + 43 digits + 6 digits, in base 62. The checksum (CRC-32 of all before it) lets a scanner or
a person tell a mistyped or invented secret from a real one without asking anybody.
"""

import hashlib
import string
import zlib
from collections.abc import Callable
from typing import Final

PREFIX: Final = "lgk_"
RANDOM_BYTES: Final = 32
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY: Final = 43  # 62**43 > 2**256
_CHECK: Final = 6  # 62**6 > 2**32
LENGTH: Final = len(PREFIX) + _BODY + _CHECK


def new_secret(random: Callable[[int], bytes]) -> str:
    """Return a new secret; `random` gives that many unpredictable bytes (`secrets.token_bytes`)."""
    body = PREFIX + _base62(int.from_bytes(random(RANDOM_BYTES), "big"), _BODY)
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Say whether it could be a secret. Authentication does not ask: one path for all."""
    if len(text) != LENGTH or not text.startswith(PREFIX) or not text.isascii():
        return False
    return _checksum(text[:-_CHECK]) == text[-_CHECK:]


def digest(secret: bytes) -> bytes:
    """Return what is stored. A slow hash would only help secrets that can be guessed."""
    return hashlib.sha256(secret).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii")), _CHECK)


def _base62(value: int, width: int) -> str:
    found: list[str] = []
    for _ in range(width):
        value, digit = divmod(value, len(_DIGITS))
        found.append(_DIGITS[digit])
    return "".join(reversed(found))
