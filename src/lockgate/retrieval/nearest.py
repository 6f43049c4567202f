"""Finds the vectors that are nearest to another: each is compared."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_LENGTH = struct.Struct("<Q")


def nearest(safetensors: Path, query: bytes, among: Sequence[int], *, limit: int) -> Sequence[int]:
    """Return the rows of `among` with the greatest cosine to `query`; ties keep their order.

    `safetensors` has one tensor of little-endian float32 values of unit length, a row a passage;
    its header was checked. `query` is such a row.
    """
    with safetensors.open("rb") as file:
        start = _LENGTH.size + _LENGTH.unpack(file.read(_LENGTH.size))[0]
    rows = np.memmap(safetensors, "<f4", "r", offset=start).reshape(-1, len(query) // 4)
    chosen = np.asarray(among)
    scores = rows[chosen] @ np.frombuffer(query, "<f4")
    # Rounded: the last bits depend on the processor, and ties shall not.
    order = np.argsort(-np.round(scores, 5), kind="stable")[:limit]
    return [int(at) for at in chosen[order]]
