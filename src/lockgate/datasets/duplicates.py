"""Equal and nearly equal texts, in time linear in their size.

Broder 1997, "On the resemblance and containment of documents" (shingles, MinHash); Leskovec,
Rajaraman and Ullman 2020, "Mining of Massive Datasets", section 3.4 (bands).
"""

import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from lockgate.errors import InvalidInput

Set: TypeAlias = npt.NDArray[np.int32]
"""Hashes of shingles, sorted, each once."""
_WORDS: Final = re.compile(r"\w+")
_SHINGLE: Final = 3
_HASHES: Final = 100
_BANDS: Final = 20
"""Of 5 hashes each: a pair of Jaccard index 0.8 shares one with probability 0.9996, one of 0.3 with
0.05."""
_PRIME: Final = (1 << 31) - 1
_SEED: Final = 7
_BATCH: Final = 4_096
"""Shingles of one text that are hashed together: bounds the memory of a long text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two texts that are alike; positions in the order given."""

    first: int
    second: int
    similarity: float
    """Jaccard index of their shingles; 1 for texts that are equal but for case and spaces."""


def alike(texts: Sequence[str], *, threshold: float = 0.8) -> list[Pair]:
    """Return pairs of texts that are alike, each text with an earlier one that it is most like.

    A text is compared with the newest of each band that it shares, not with all: time stays linear
    where everything is alike, and groups hang together.

    Raises:
        InvalidInput: the threshold is not between 0 and 1.

    """
    if not 0 < threshold <= 1:
        raise InvalidInput(f"the threshold is `{threshold}`, not above 0 and at most 1")
    found: list[Pair] = []
    seen: dict[bytes, int] = {}
    newest: dict[int, int] = {}
    sets: dict[int, Set] = {}
    hashing = _Hashing()
    for at, text in enumerate(texts):
        words = tuple(_WORDS.findall(text.casefold()))
        if not words:
            continue
        told = " ".join(words).encode("utf-8", "replace")
        earlier = seen.setdefault(hashlib.sha256(told).digest(), at)
        if earlier != at:
            found.append(Pair(first=earlier, second=at, similarity=1.0))
            continue
        sets[at] = _shingles(words)
        bands = list(hashing.bands(sets[at]))
        tried = dict.fromkeys(newest[band] for band in bands if band in newest)
        best = max(((_jaccard(sets[at], sets[o]), -o) for o in tried), default=(0.0, 0))
        if best[0] >= threshold:
            found.append(Pair(first=-best[1], second=at, similarity=best[0]))
        newest.update(dict.fromkeys(bands, at))
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


def _shingles(words: Sequence[str]) -> Set:
    most = max(1, len(words) - _SHINGLE + 1)
    joined = (" ".join(words[at : at + _SHINGLE]) for at in range(most))
    hashed = (zlib.crc32(text.encode("utf-8", "replace")) % _PRIME for text in joined)
    return np.unique(np.fromiter(hashed, dtype=np.int32))


def _jaccard(left: Set, right: Set) -> float:
    shared = np.intersect1d(left, right, assume_unique=True).size
    return shared / (left.size + right.size - shared)


class _Hashing:
    """Random linear hashes modulo a prime (Carter and Wegman 1979)."""

    def __init__(self) -> None:
        draw = np.random.Generator(np.random.PCG64(_SEED))
        self._factors = draw.integers(1, _PRIME, (_HASHES, 1), dtype=np.int64)
        self._offsets = draw.integers(0, _PRIME, (_HASHES, 1), dtype=np.int64)

    def bands(self, shingles: Set) -> Iterator[int]:
        row = shingles.astype(np.int64)
        least: npt.NDArray[np.int64] = np.full(_HASHES, _PRIME, dtype=np.int64)
        for start in range(0, row.size, _BATCH):
            part = row[start : start + _BATCH]
            hashed = (self._factors * part + self._offsets) % _PRIME
            least = np.minimum(least, hashed.min(axis=1))
        width = _HASHES // _BANDS
        for band in range(_BANDS):
            own = least[band * width : (band + 1) * width].tobytes()
            yield zlib.crc32(own) << 32 | zlib.adler32(own) & 0xFFFFFF00 | band
