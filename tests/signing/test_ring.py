import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.errors import (
    Corrupt,
    Denied,
    LockgateError,
    NotFound,
    StorageFailed,
    UsageError,
)
from lockgate.signing import disk
from lockgate.signing.keys import PrivateKey
from lockgate.signing.ring import KeyRing

PASSPHRASE = b"a good long passphrase"


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


def test_a_key_is_encrypted_and_readable_by_its_owner_only(ring: KeyRing, tmp_path: Path) -> None:
    info = ring.new("build", PASSPHRASE)

    path = tmp_path / "keys" / "build.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in path.read_bytes()
    assert b"-----BEGIN PRIVATE KEY-----" not in path.read_bytes()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
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


@pytest.mark.parametrize(
    ("passphrase", "why"),
    [
        (b"", "0 bytes, at least 12"),
        (b"short", "5 bytes, at least 12"),
        (b"a" * 40, "1 different characters, at least 5"),
        (b"abcd" * 5, "4 different characters, at least 5"),
    ],
)
def test_a_weak_passphrase_is_refused_and_nothing_is_written(
    ring: KeyRing, passphrase: bytes, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        ring.new("build", passphrase)

    assert ring.list() == []


def test_a_rotation_that_is_refused_leaves_the_key_as_it_was(ring: KeyRing) -> None:
    first = ring.new("build", PASSPHRASE)

    with pytest.raises(UsageError, match="at least 12"):
        ring.rotate("build", b"short")

    assert ring.list() == [first]


def test_a_rotation_that_was_killed_half_way_is_done_again(ring: KeyRing, tmp_path: Path) -> None:
    first = ring.new("build", PASSPHRASE)
    folder = tmp_path / "keys"
    kept = folder / f"build.{first.fingerprint[:12]}.key"
    kept.write_bytes((folder / "build.key").read_bytes())
    (folder / ".build.key.partial").write_bytes(b"half a k")

    old, new = ring.rotate("build", PASSPHRASE)

    assert old.fingerprint == first.fingerprint
    assert ring.list() == [new, old]


def test_a_kept_key_is_not_rotated_and_the_longest_name_is(ring: KeyRing) -> None:
    ring.new("x" * 50, None)

    old, _ = ring.rotate("x" * 50, None)

    assert ring.open(old.name, None).fingerprint == old.fingerprint
    with pytest.raises(UsageError, match="cannot be a key's name"):
        ring.rotate(old.name, None)


def test_halves_of_two_keys_are_refused(ring: KeyRing, tmp_path: Path) -> None:
    ring.new("one", PASSPHRASE)
    two = ring.new("two", PASSPHRASE)
    path = tmp_path / "keys" / "one.key"
    path.write_text(path.read_text().replace(ring.show("one").pem, two.pem))

    with pytest.raises(Corrupt, match="do not belong together"):
        ring.open("one", PASSPHRASE)


def test_any_changed_byte_of_a_key_is_noticed_when_it_is_opened(
    ring: KeyRing, tmp_path: Path
) -> None:
    info = ring.new("one", None)
    path = tmp_path / "keys" / "one.key"
    data = path.read_bytes()
    refused = 0
    for at in range(0, len(data), 3):
        changed = bytearray(data)
        changed[at] ^= 1
        path.write_bytes(changed)
        try:
            same = ring.open("one", None).fingerprint == info.fingerprint
        except LockgateError:
            refused += 1
        else:
            # Line ends and padding inside PEM carry nothing: then it is still the same key.
            assert same
    assert refused > 0.9 * len(data) / 3


def test_a_file_with_a_private_half_and_an_address_or_neither_is_refused(
    ring: KeyRing, tmp_path: Path
) -> None:
    ring.new("one", None)
    path = tmp_path / "keys" / "one.key"
    data = path.read_bytes()
    public = data[: data.index(b"-----BEGIN PRIVATE")]

    for damage in (b"uri: hsm:2\n" + data, public, b"hsm:2\n" + public, b"x" + data):
        path.write_bytes(damage)
        with pytest.raises(Corrupt, match="is damaged"):
            ring.show("one")


@pytest.mark.parametrize(
    "data", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAA==\n", b"\0" * 20_000]
)
def test_a_damaged_file_is_refused(ring: KeyRing, tmp_path: Path, data: bytes) -> None:
    ring.new("one", PASSPHRASE)
    (tmp_path / "keys" / "one.key").write_bytes(data)

    with pytest.raises(Corrupt, match="key `one` is damaged"):
        ring.open("one", PASSPHRASE)


def test_an_unencrypted_key_that_others_can_read_is_refused(ring: KeyRing, tmp_path: Path) -> None:
    ring.new("open", None)
    ring.new("locked", PASSPHRASE)
    for name in ("open", "locked"):
        (tmp_path / "keys" / f"{name}.key").chmod(0o640)

    with pytest.raises(Denied, match="mode is 0640, 0600 is needed"):
        ring.open("open", None)
    assert ring.open("locked", PASSPHRASE).pem


def test_of_many_processes_that_make_one_name_a_single_one_does(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lockgate.errors import UsageError\n"
        "from lockgate.signing.ring import KeyRing\n"
        "try:\n"
        "    print(KeyRing(Path(sys.argv[1])).new('build', None).fingerprint)\n"
        "except UsageError:\n"
        "    pass\n"
    )
    folder = tmp_path / "keys"
    running = [
        subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    made = [process.communicate()[0].strip() for process in running]

    assert [process.returncode for process in running] == [0] * 6
    assert [line for line in made if line] == [KeyRing(folder).show("build").fingerprint]


def test_a_key_waits_while_another_process_writes_keys(ring: KeyRing, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lockgate.errors import UsageError\n"
        "from lockgate.signing import ring\n"
        "made = ring._made\n"
        "def told(passphrase):\n"
        "    print('made', flush=True)\n"
        "    return made(passphrase)\n"
        "ring._made = told\n"
        "try:\n"
        "    ring.KeyRing(Path(sys.argv[1])).new('build', None)\n"
        "except UsageError as error:\n"
        "    print(error.message)\n"
    )
    folder = tmp_path / "keys"
    ring.new("other", None)
    with disk.locked(folder):
        child = subprocess.Popen(
            [sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "made\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
        (folder / "build.key").write_bytes((folder / "other.key").read_bytes())

    assert child.communicate()[0] == "there is a key `build` already\n"
    assert ring.show("build").fingerprint == ring.show("other").fingerprint


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")

    with pytest.raises(StorageFailed, match="keys"):
        KeyRing(tmp_path / "keys").new("build", None)


def test_a_key_in_a_device_has_an_address_and_no_private_half(ring: KeyRing) -> None:
    pem = PrivateKey.new().pem

    info = ring.link("hsm", pem, "hsm:2?label=yubikey")

    assert (info.uri, info.pem, info.encrypted) == ("hsm:2?label=yubikey", pem.decode(), False)
    assert ring.list() == [info]
    with pytest.raises(UsageError, match="is at `hsm:2"):
        ring.open("hsm", None)
    with pytest.raises(UsageError, match="already"):
        ring.new("hsm", None)
    with pytest.raises(UsageError, match="a device holds"):
        ring.rotate("hsm", None)


@pytest.mark.parametrize("uri", ["", "a\nb", "x" * 3000, "ключ:"])
def test_an_address_that_is_not_one_line_is_refused(ring: KeyRing, uri: str) -> None:
    with pytest.raises(UsageError, match="not the address"):
        ring.link("hsm", PrivateKey.new().pem, uri)
