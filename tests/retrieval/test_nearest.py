import struct
from pathlib import Path

import pytest

from lockgate.oci.kinds.search_index import _vectors
from lockgate.retrieval.nearest import nearest

ROWS = [(1.0, 0.0), (0.8, 0.6), (0.0, 1.0), (0.8, 0.6)]


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.safetensors"
    path.write_bytes(_vectors([struct.pack("<2f", *row) for row in ROWS], len(ROWS)))
    return path


def test_the_nearest_come_first_and_ties_keep_their_order(vectors: Path) -> None:
    query = struct.pack("<2f", 0.8, 0.6)
    assert nearest(vectors, query, [0, 1, 2, 3], limit=3) == [1, 3, 0]


def test_what_is_not_among_the_candidates_is_never_found(vectors: Path) -> None:
    query = struct.pack("<2f", 0.8, 0.6)
    assert nearest(vectors, query, [0, 2], limit=4) == [0, 2]
