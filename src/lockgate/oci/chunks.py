"""The chunk table of a blob: what lets one bad chunk be found, and fetched again alone.

Format, all numbers big-endian: magic `LGCHUNK1` (8 bytes), chunk size (u32), blob size (u64), then
the 32-byte BLAKE3 of each chunk in order. The last chunk may be shorter; an empty blob has none.
BLAKE3: O'Connor, Aumasson, Neves, Wilcox-O'Hearn, "BLAKE3: one function, fast everywhere" (2020).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from blake3 import blake3

from lockgate.errors import Corrupt

CHUNK_BYTES: Final = 16 << 20
MEDIA_TYPE: Final = "application/vnd.lockgate.chunks.v1"
"""Of a table's bytes."""
ARTIFACT_TYPE: Final = "application/vnd.lockgate.chunks.v1+json"
"""Of the manifest that holds tables as layers; its subject is the artifact with the blobs."""
ANNOTATION: Final = "io.lockgate.chunks.digest"
"""On a blob's descriptor: the digest of its table."""
MAX_BLOB_BYTES: Final = 1 << 40
"""1 TiB, whose table of 2 MiB is still a small document of the store."""

_MAGIC: Final = b"LGCHUNK1"
_HEADER: Final = struct.Struct(">8sIQ")
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTable:
    """The BLAKE3 of each chunk of a blob."""

    size: int
    """Bytes of the blob."""
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_BLOB_BYTES:
            raise ValueError(f"a blob of {self.size} bytes has no chunk table")
        if len(self.hashes) != count(self.size):
            raise ValueError(f"{len(self.hashes)} chunks for {self.size} bytes")
        if any(len(found) != _HASH_BYTES for found in self.hashes):
            raise ValueError(f"a hash does not have {_HASH_BYTES} bytes")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a table.

        Raises:
            Corrupt: it is not one, has another chunk size, or is not as long as it says.

        """
        if len(data) < _HEADER.size:
            raise Corrupt(f"a chunk table has {len(data)} bytes, at least {_HEADER.size} needed")
        magic, chunk, size = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise Corrupt(f"a chunk table begins with `{magic.hex()}`, expected `{_MAGIC.hex()}`")
        if chunk != CHUNK_BYTES:
            raise Corrupt(f"a chunk table is of chunks of {chunk:,} bytes, not {CHUNK_BYTES:,}")
        if size > MAX_BLOB_BYTES:
            raise Corrupt(
                f"a chunk table is of a blob of {size:,} bytes, at most {MAX_BLOB_BYTES:,} allowed"
            )
        if len(data) != table_bytes(size):
            raise Corrupt(
                f"a chunk table of {size:,} bytes has {len(data):,} bytes, "
                f"expected {table_bytes(size):,}"
            )
        starts = range(_HEADER.size, len(data), _HASH_BYTES)
        return cls(size=size, hashes=tuple(data[at : at + _HASH_BYTES] for at in starts))

    @classmethod
    def of(cls, size: int, hashes: Sequence[bytes]) -> Self:
        """Make the table of a blob whose chunks were hashed elsewhere."""
        return cls(size=size, hashes=tuple(hashes))

    def encode(self) -> bytes:
        """Return the table's bytes."""
        return _HEADER.pack(_MAGIC, CHUNK_BYTES, self.size) + b"".join(self.hashes)

    def verify(self, index: int, data: bytes | bytearray | memoryview) -> bool:
        """Say whether `data` is the chunk with that index."""
        return len(data) == length(self.size, index) and blake3(data).digest() == self.hashes[index]


def count(size: int) -> int:
    """Return how many chunks a blob of `size` bytes has."""
    return -(-size // CHUNK_BYTES)


def length(size: int, index: int) -> int:
    """Return the bytes of one chunk of a blob of `size` bytes."""
    return min(CHUNK_BYTES, size - index * CHUNK_BYTES)


def table_bytes(size: int) -> int:
    """Return how long the table of a blob of `size` bytes is."""
    return _HEADER.size + _HASH_BYTES * count(size)
