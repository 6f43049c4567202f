import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import Corrupt
from lockgate.oci.chunks import CHUNK_BYTES, MAX_BLOB_BYTES, ChunkTable, count, table_bytes

SIZE = CHUNK_BYTES + 5
DATA = bytes(SIZE)


def table() -> ChunkTable:
    parts = (DATA[:CHUNK_BYTES], DATA[CHUNK_BYTES:])
    return ChunkTable.of(SIZE, [blake3(part).digest() for part in parts])


def test_a_table_has_the_documented_bytes() -> None:
    found = table().encode()
    assert found[:20].hex() == "4c474348554e4b31" + "01000000" + "0000000001000005"
    assert found[20:52] == blake3(bytes(CHUNK_BYTES)).digest()
    assert len(found) == table_bytes(SIZE) == 84


def test_a_table_survives_encoding() -> None:
    assert ChunkTable.parse(table().encode()) == table()
    assert ChunkTable.parse(ChunkTable.of(0, []).encode()) == ChunkTable.of(0, [])


def test_a_chunk_is_verified_by_all_of_its_bytes() -> None:
    bad = bytearray(CHUNK_BYTES)
    bad[CHUNK_BYTES // 2] = 1
    assert table().verify(0, memoryview(DATA)[:CHUNK_BYTES])
    assert table().verify(1, DATA[:5])
    assert not table().verify(0, bad)
    assert not table().verify(1, DATA[:4])
    assert not table().verify(1, DATA[:6])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "0 bytes"),
        (b"X" + table().encode()[1:], "begins with"),
        (table().encode()[:-1], "expected 84"),
        (table().encode() + b"\0", "expected 84"),
        (table().encode()[:8] + (1 << 20).to_bytes(4, "big") + table().encode()[12:], "1,048,576"),
        (table().encode()[:12] + b"\xff" * 8, "at most"),
        (table().encode()[:12] + MAX_BLOB_BYTES.to_bytes(8, "big"), "expected 2,097,172"),
    ],
)
def test_what_is_no_table_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(Corrupt, match=said):
        ChunkTable.parse(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    try:
        found = ChunkTable.parse(data)
    except Corrupt:
        return
    assert found.encode() == data


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_a_table_with_a_hash_too_many_cannot_be_made(size: int) -> None:
    with pytest.raises(ValueError, match="chunks for"):
        ChunkTable.of(size, [bytes(32)] * (count(size) + 1))
