"""How far one part of a blob came, and how far the whole."""

from collections.abc import Callable
from typing import TypeAlias

from blake3 import blake3

from lockgate.oci.chunks import CHUNK_BYTES

Advance: TypeAlias = Callable[[int], None]
"""Told of bytes that are done."""


class Meter:
    """Tells progress no more than there is: what has to come twice counts once."""

    def __init__(self, size: int, advance: Advance) -> None:
        self._left = size
        self._advance = advance

    def advance(self, count: int) -> None:
        told = min(count, self._left)
        self._left -= told
        if told:
            self._advance(told)


class Chunk:
    """One part of the blob, as far as it came."""

    def __init__(self, index: int, size: int) -> None:
        self.index = index
        self.start = index * CHUNK_BYTES
        self.size = size
        self.got = 0
        self.hasher = blake3()
        self._furthest = 0

    def add(self, block: bytes, *, hashed: bool) -> int:
        """Take in a block; return how many of its bytes are new to the progress."""
        if hashed:
            self.hasher.update(block)
        self.got += len(block)
        fresh = max(0, self.got - self._furthest)
        self._furthest = max(self._furthest, self.got)
        return fresh

    def restart(self) -> None:
        """Begin again: bytes were wrong."""
        self.got = 0
        self.hasher = blake3()
