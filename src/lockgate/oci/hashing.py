"""Both digests of a stream, and those of its chunks, in one pass over its bytes.

The hash functions let go of the interpreter's lock, so each has a thread of its own while this one
reads ahead and writes.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from blake3 import blake3

from lockgate.domain.digest import Digest
from lockgate.oci.chunks import CHUNK_BYTES

_BLOCK: Final = 4 << 20
_AHEAD: Final = 6
"""Blocks in flight: 24 MiB."""


class Source(Protocol):
    """What is read: an unbuffered file."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """What a stream's bytes add up to."""

    digest: Digest
    size: int
    blake3: str
    """`blake3:<64 hex digits>`."""
    chunks: tuple[bytes, ...]
    """The BLAKE3 of each 16 MiB; the last may be of fewer."""


class _Chunks:
    def __init__(self) -> None:
        self.whole = blake3()
        self.done: list[bytes] = []
        self._chunk = blake3()
        self._room = CHUNK_BYTES

    def update(self, block: memoryview) -> None:
        self.whole.update(block)
        while block:
            part, block = block[: self._room], block[self._room :]
            self._chunk.update(part)
            self._room -= len(part)
            if self._room == 0:
                self.finish()

    def finish(self) -> None:
        if self._room < CHUNK_BYTES:
            self.done.append(self._chunk.digest())
            self._chunk, self._room = blake3(), CHUNK_BYTES


def hash_stream(
    source: Source,
    *,
    limit: int,
    write: Callable[[memoryview], None] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Hashes:
    """Read `source` to its end, or to `limit` bytes, in bounded memory.

    `write` gets each block, and `advance` its length.
    """
    sha256, chunks, size = hashlib.sha256(), _Chunks(), 0
    buffers = [bytearray(_BLOCK)]
    pending: list[tuple[Future[None], ...]] = [()]
    at = 0
    with _threads() as start:
        while count := source.readinto(memoryview(buffers[at])[: limit - size]):
            block = memoryview(buffers[at])[:count]
            pending[at] = (start(0, sha256.update, block), start(1, chunks.update, block))
            if write is not None:
                write(block)
            if advance is not None:
                advance(count)
            size += count
            at = (at + 1) % _AHEAD
            if at == len(buffers):
                buffers.append(bytearray(_BLOCK))
                pending.append(())
            for future in pending[at]:
                future.result()
    chunks.finish()
    return Hashes(
        digest=Digest(sha256.hexdigest()),
        size=size,
        blake3=f"blake3:{chunks.whole.hexdigest()}",
        chunks=tuple(chunks.done),
    )


@contextmanager
def _threads() -> Iterator[Callable[..., Future[None]]]:
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        both = (first, second)
        yield lambda index, *call: both[index].submit(*call)
