"""Random ids without a system call each."""

import os
from collections.abc import Callable

_POOL = 4096


class Entropy:
    """Random bits of the operating system, fetched 4096 bytes at a time.

    Not to be shared by processes that fork: they would draw the same. Ids are no secrets, but two
    traces must not have the same.
    """

    __slots__ = ("_at", "_fetch", "_pool")

    def __init__(self, fetch: Callable[[int], bytes] = os.urandom) -> None:
        self._fetch = fetch
        self._pool = b""
        self._at = 0

    def __call__(self, bits: int) -> int:
        """Return that many bits; a multiple of 8, at most 4096 bytes."""
        end = self._at + bits // 8
        if end > len(self._pool):
            self._pool, self._at, end = self._fetch(_POOL), 0, bits // 8
        found = int.from_bytes(self._pool[self._at : end], "big")
        self._at = end
        return found
