"""Equal and nearly equal texts, in time linear in their size.

Broder 1997, "On the resemblance and containment of documents" (shingles, MinHash); Leskovec,
Rajaraman and Ullman 2020, "Mining of Massive Datasets", section 3.4 (bands).
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lockgate.errors import InvalidInput

_WORDS: Final = re.compile(r"\w+")
_SHINGLE: Final = 3
_HASHES: Final = 120
_BANDS: Final = 30
"""Of 4 hashes each: a pair of Jaccard index 0.8 shares one with probability 1 - 1e-7, one of 0.3
with 0.22."""
_PRIME: Final = (1 << 31) - 1
_SEED: Final = 7
_BATCH: Final = 4_096
"""Shingles of one text that are hashed together: bounds the memory of a long text."""
_TRIED: Final = 4
"""Earlier texts of a bucket that a new one is compared with: a bucket may hold everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two texts that are alike; positions in the order given."""

    first: int
    second: int
    similarity: float
    """Jaccard index of their shingles; 1 for texts that are equal but for case and spaces."""


def alike(texts: Sequence[str], *, threshold: float = 0.8) -> list[Pair]:
    """Return pairs of texts that are alike, each text with an earlier one that it is most like.

    A text in a large group is paired with a few of it, not with all: time stays linear, and groups
    hang together.

    Raises:
        InvalidInput: the threshold is not between 0 and 1.

    """
    if not 0 < threshold <= 1:
        raise InvalidInput(f"the threshold is `{threshold}`, not above 0 and at most 1")
    found: list[Pair] = []
    seen: dict[tuple[str, ...], int] = {}
    buckets: dict[bytes, list[int]] = {}
    sets: dict[int, frozenset[int]] = {}
    hashing = _Hashing()
    for at, text in enumerate(texts):
        words = tuple(_WORDS.findall(text.casefold()))
        if not words:
            continue
        earlier = seen.setdefault(words, at)
        if earlier != at:
            found.append(Pair(first=earlier, second=at, similarity=1.0))
            continue
        sets[at] = _shingles(words)
        bands = list(hashing.bands(sets[at]))
        tried = dict.fromkeys(other for band in bands for other in buckets.get(band, ())[-_TRIED:])
        best = max(((_jaccard(sets[at], sets[o]), -o) for o in tried), default=(0.0, 0))
        if best[0] >= threshold:
            found.append(Pair(first=-best[1], second=at, similarity=best[0]))
        for band in bands:
            buckets.setdefault(band, []).append(at)
    return found


def groups(pairs: Sequence[Pair], size: int) -> list[list[int]]:
    """Return the positions that hang together by pairs, each group sorted."""
    leader = list(range(size))

    def lead(at: int) -> int:
        while leader[at] != at:
            leader[at] = leader[leader[at]]
            at = leader[at]
        return at

    for pair in pairs:
        first, second = sorted((lead(pair.first), lead(pair.second)))
        leader[second] = first
    found: dict[int, list[int]] = {}
    for at in range(size):
        found.setdefault(lead(at), []).append(at)
    return [group for group in found.values() if len(group) > 1]


def _shingles(words: Sequence[str]) -> frozenset[int]:
    most = max(1, len(words) - _SHINGLE + 1)
    joined = (" ".join(words[at : at + _SHINGLE]) for at in range(most))
    return frozenset(zlib.crc32(text.encode("utf-8", "replace")) % _PRIME for text in joined)


def _jaccard(left: frozenset[int], right: frozenset[int]) -> float:
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


class _Hashing:
    """Random linear hashes modulo a prime (Carter and Wegman 1979)."""

    def __init__(self) -> None:
        draw = np.random.Generator(np.random.PCG64(_SEED))
        self._factors = draw.integers(1, _PRIME, (_HASHES, 1), dtype=np.int64)
        self._offsets = draw.integers(0, _PRIME, (_HASHES, 1), dtype=np.int64)

    def bands(self, shingles: frozenset[int]) -> Iterator[bytes]:
        row = np.fromiter(shingles, dtype=np.int64, count=len(shingles))
        least: npt.NDArray[np.int64] = np.full(_HASHES, _PRIME, dtype=np.int64)
        for start in range(0, row.size, _BATCH):
            part = row[start : start + _BATCH]
            hashed = (self._factors * part + self._offsets) % _PRIME
            least = np.minimum(least, hashed.min(axis=1))
        width = _HASHES // _BANDS
        for band in range(_BANDS):
            yield bytes([band]) + least[band * width : (band + 1) * width].tobytes()
