import json
import struct
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import Corrupt
from lockgate.oci.headers.safetensors import read_header

F32 = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def written(path: Path, header: object, body: int = 24) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(body))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "m.safetensors"


def test_a_header_says_what_the_file_holds(file: Path) -> None:
    other = {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]}
    empty = {"dtype": "F16", "shape": [0, 7], "data_offsets": [24, 24]}
    scalar = {"dtype": "U8", "shape": [], "data_offsets": [32, 33]}
    tensors = {"b": other, "a": F32, "none": empty, "one": scalar}
    found = read_header(written(file, {"__metadata__": {"format": "pt"}, **tensors}, 33))
    assert found.metadata == {"format": "pt"}
    assert (found.tensors, found.parameters, found.precision) == (4, 11, "F32")
    assert found.bytes_by_dtype == {"F32": 24, "BF16": 8, "F16": 0, "U8": 1}


def test_padding_with_spaces_and_no_tensors_are_fine(file: Path) -> None:
    assert read_header(written(file, b"{}      ", 0)).precision == ""


@pytest.mark.parametrize(
    ("header", "body", "said"),
    [
        ({"a": F32}, 23, "take 24 bytes, 23 follow"),
        ({"a": F32}, 25, "take 24 bytes, 25 follow"),
        ({"a": F32, "b": {**F32, "data_offsets": [20, 44]}}, 44, "overlaps another"),
        ({"a": F32, "b": {**F32, "data_offsets": [30, 54]}}, 54, "leaves 6 bytes unused"),
        ({"a": {**F32, "shape": [2, 4]}}, 24, "8 `F32` take 32"),
        ({"a": {**F32, "shape": [2, -3]}}, 24, "malformed"),
        ({"a": {**F32, "shape": [2, 3.0]}}, 24, "malformed"),
        ({"a": {**F32, "shape": [True, 6]}}, 24, "malformed"),
        ({"a": {**F32, "shape": [1] * 17}}, 24, "malformed"),
        ({"a": {**F32, "dtype": "Q4"}}, 24, "malformed"),
        ({"a": {**F32, "dtype": ["F32"]}}, 24, "malformed"),
        ({"a": {**F32, "data_offsets": [0]}}, 24, "malformed"),
        ({"a": {**F32, "data_offsets": [24, 0]}}, 24, "take 24"),
        ({"a": {**F32, "more": 1}}, 24, "malformed"),
        ({"a": [1]}, 24, "malformed"),
        ({"__metadata__": {"n": 1}, "a": F32}, 24, "not an object of strings"),
        (b'{"a": 1, "a": 2}', 0, "stands twice"),
        (b'{"__metadata__": {"k": "1", "k": "2"}}', 0, "stands twice"),
        (b'[{"a": 1}]', 0, "does not begin"),
        (b'{"a": ', 0, "not JSON"),
        (b'{"a":' + b"[" * 100_000, 0, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", 0, "not JSON"),
    ],
)
def test_what_is_not_consistent_is_refused(file: Path, header: Any, body: int, said: str) -> None:
    with pytest.raises(Corrupt, match=said):
        read_header(written(file, header, body))


@pytest.mark.parametrize("data", [b"", b"1234567", struct.pack("<Q", 1 << 62) + b"{}" * 9])
def test_a_length_that_cannot_be_is_refused_before_anything_is_read(
    file: Path, data: bytes
) -> None:
    file.write_bytes(data)
    with pytest.raises(Corrupt, match="not a whole safetensors file"):
        read_header(file)


def test_a_header_that_is_too_long_is_not_read(file: Path) -> None:
    with file.open("wb") as made:
        made.write(struct.pack("<Q", 17 << 20) + b"{")
        made.truncate(18 << 20)
    with pytest.raises(Corrupt, match="at most 16,777,216 are read"):
        read_header(file)


def test_every_flipped_byte_of_a_header_is_refused_or_changes_a_name_only(file: Path) -> None:
    data = bytearray(written(file, {"tensor": F32}).read_bytes())
    for at in range(len(data) - 24):
        changed = bytearray(data)
        changed[at] ^= 0x80
        file.write_bytes(changed)
        with pytest.raises(Corrupt):
            read_header(file)
