import stat
from pathlib import Path

import pytest

from lockgate.errors import Corrupt, Denied, NotFound, UsageError
from lockgate.signing.ring import KeyRing

PASSPHRASE = b"a good long passphrase"


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


def test_a_key_is_encrypted_and_readable_by_its_owner_only(ring: KeyRing, tmp_path: Path) -> None:
    info = ring.new("build", PASSPHRASE)

    path = tmp_path / "keys" / "build.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert info.encrypted
    assert ring.open("build", PASSPHRASE).fingerprint == info.fingerprint
    assert ring.list() == [info]


@pytest.mark.parametrize("passphrase", [None, b"", b"another passphrase"])
def test_a_wrong_passphrase_does_not_open_it(ring: KeyRing, passphrase: bytes | None) -> None:
    ring.new("build", PASSPHRASE)

    with pytest.raises(Denied, match="does not open"):
        ring.open("build", passphrase)


def test_a_key_without_a_passphrase_says_so(ring: KeyRing) -> None:
    info = ring.new("build", None)

    assert not info.encrypted
    assert ring.open("build", None).fingerprint == info.fingerprint


def test_a_key_is_never_overwritten(ring: KeyRing) -> None:
    first = ring.new("build", PASSPHRASE)

    with pytest.raises(UsageError, match="already"):
        ring.new("build", PASSPHRASE)

    assert ring.show("build") == first


def test_rotating_keeps_the_old_key_under_another_name(ring: KeyRing) -> None:
    first = ring.new("build", PASSPHRASE)

    old, new = ring.rotate("build", PASSPHRASE)

    assert old.fingerprint == first.fingerprint
    assert ring.open(old.name, PASSPHRASE).fingerprint == first.fingerprint
    assert ring.show("build") == new
    assert new.fingerprint != first.fingerprint


@pytest.mark.parametrize("name", ["", "../x", "A", "x/y", ".hidden", "x" * 64])
def test_a_name_that_could_leave_the_folder_is_refused(ring: KeyRing, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a key's name"):
        ring.new(name, PASSPHRASE)
    with pytest.raises(NotFound):
        ring.show(name)


def test_a_short_passphrase_is_refused(ring: KeyRing) -> None:
    with pytest.raises(UsageError, match="5 bytes, at least 12"):
        ring.new("build", b"short")


def test_halves_of_two_keys_are_refused(ring: KeyRing, tmp_path: Path) -> None:
    ring.new("one", PASSPHRASE)
    ring.new("two", PASSPHRASE)
    (tmp_path / "keys" / "one.pub").write_bytes((tmp_path / "keys" / "two.pub").read_bytes())

    with pytest.raises(Corrupt, match="do not belong together"):
        ring.open("one", PASSPHRASE)


@pytest.mark.parametrize("data", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAA==\n"])
def test_a_damaged_private_half_does_not_open(ring: KeyRing, tmp_path: Path, data: bytes) -> None:
    ring.new("one", PASSPHRASE)
    (tmp_path / "keys" / "one.key").write_bytes(data)

    with pytest.raises(Denied):
        ring.open("one", PASSPHRASE)
