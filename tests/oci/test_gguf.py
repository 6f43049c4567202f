import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import Corrupt, StorageFailed
from lockgate.oci.gguf import Header, read_header
from oci.samples import CONTEXT, gguf

WHOLE = gguf(16)


def write(folder: Path, data: bytes) -> Path:
    path = folder / "x.gguf"
    path.write_bytes(data)
    return path


def test_a_header_says_what_the_model_is(tmp_path: Path) -> None:
    assert read_header(write(tmp_path, WHOLE)) == Header(
        architecture="llama",
        title="Tiny",
        licence="",
        quantisation="F32",
        context_tokens=CONTEXT,
    )


@pytest.mark.parametrize("data", [b"", b"GGU", b"GGML" + bytes(60), b"<html>not here</html>"])
def test_what_is_not_gguf_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Corrupt, match="is not a GGUF file"):
        read_header(write(tmp_path, data))


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="GGUF version 9"):
        read_header(write(tmp_path, WHOLE[:4] + b"\x09" + WHOLE[5:]))


@given(length=st.integers(4, len(WHOLE) - 1))
def test_a_file_that_is_cut_off_anywhere_is_found(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    with pytest.raises(Corrupt, match="is cut off"):
        read_header(write(tmp_path_factory.mktemp("cut"), WHOLE[:length]))


@given(position=st.integers(4, 400), value=st.integers(0, 255))
def test_a_damaged_header_is_read_or_refused_and_never_trusted(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    data = bytearray(WHOLE)
    data[position % len(data)] = value
    with suppress(Corrupt):
        assert read_header(write(tmp_path_factory.mktemp("bad"), bytes(data))).title.isprintable()


@pytest.mark.parametrize("place", [8, 16])
def test_counts_beyond_reason_are_refused_at_once(tmp_path: Path, place: int) -> None:
    data = WHOLE[:place] + b"\xff" * 8 + WHOLE[place + 8 :]
    with pytest.raises(Corrupt, match="its header is damaged"):
        read_header(write(tmp_path, data))


def test_a_file_that_cannot_be_read_is_a_matter_of_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="no such file"):
        read_header(tmp_path / "none")


@pytest.mark.parametrize(
    "sizes", [[(1 << 20) - 8, 3], [(1 << 20) - 11, 3, 0], [3 << 20, 1], [0] * 9]
)
def test_a_vocabulary_is_passed_over_whatever_the_lengths_of_its_words(
    tmp_path: Path, sizes: list[int]
) -> None:
    words = b"".join(struct.pack("<Q", size) + bytes(size) for size in sizes)
    name, last = b"tokenizer.ggml.tokens", b"general.name"
    vocabulary = struct.pack("<Q", len(name)) + name + struct.pack("<IIQ", 9, 8, len(sizes)) + words
    title = struct.pack("<Q", len(last)) + last + struct.pack("<IQ", 8, 3) + b"End"
    data = struct.pack("<4sIQQ", b"GGUF", 3, 0, 2) + vocabulary + title
    whole = data + bytes(-len(data) % 32)
    assert read_header(write(tmp_path, whole)).title == "End"
    for length in (len(data) - 1, len(data) - len(title) - 1, 24 + 40):
        with pytest.raises(Corrupt, match="is cut off"):
            read_header(write(tmp_path, whole[:length]))
