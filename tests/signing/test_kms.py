import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.domain.digest import Digest
from lockgate.domain.statement import Statement, Subject
from lockgate.errors import Denied, Unavailable, UsageError
from lockgate.signing.attest import sign, verified
from lockgate.signing.keys import PrivateKey
from lockgate.signing.kms import DeviceSigner
from programs import require

KEY, OTHER = PrivateKey.new(), PrivateKey.new()
STATEMENT = Statement(
    subjects=(Subject(name="review", digest=Digest.of(b"release")),),
    predicate_type="https://example.org/approval/v1",
    predicate={},
)
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, LABEL = "1234", "lockgate-test"


def nobody() -> str:
    raise AssertionError("no secret is needed")


@pytest.fixture
def held(tmp_path: Path) -> str:
    """The URI of a key that the signer of another library holds."""
    path = tmp_path / "device.pem"
    path.write_bytes(KEY.encrypted(None))
    return f"file2:{path}"


def test_what_a_device_signs_verifies_with_its_public_half(held: str) -> None:
    signer = DeviceSigner(held, KEY.pem, nobody)

    found = verified(sign(STATEMENT, signer), {KEY.fingerprint: KEY.pem.decode()})

    assert (found.statement, found.key) == (STATEMENT, KEY.fingerprint)


def test_a_device_with_another_key_is_refused(held: str) -> None:
    with pytest.raises((Denied, Unavailable), match=r"is not|not match"):
        DeviceSigner(held, OTHER.pem, nobody).sign(b"data")


def test_a_device_that_is_not_there_is_said(tmp_path: Path) -> None:
    signer = DeviceSigner(f"file2:{tmp_path}/none", KEY.pem, nobody)

    with pytest.raises(Unavailable, match=f"`file2:{tmp_path}/none` does not sign"):
        signer.sign(b"data")


@pytest.mark.parametrize("uri", ["", "hv:key/1", "https://example.org/key", "gnupg:"])
def test_an_address_of_an_unknown_kind_is_refused_with_the_known_ones(uri: str) -> None:
    with pytest.raises(UsageError, match="known are: `awskms`"):
        DeviceSigner(uri, KEY.pem, nobody)


def test_a_library_that_is_not_installed_is_named() -> None:
    with pytest.raises(Unavailable, match="not installed") as caught:
        DeviceSigner("awskms:alias/x", KEY.pem, nobody)

    assert caught.value.hint == "`pip install boto3`"


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, bytes]:
    """A software PKCS#11 token with a new key: its URI and its public half."""
    program = require("softhsm2-util", package="softhsm2")
    if not os.environ.get("CI"):
        pytest.importorskip("pkcs11")
    (tmp_path / "tokens").mkdir()
    settings = tmp_path / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tmp_path}/tokens\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(settings))
    monkeypatch.setenv("PYKCS11LIB", str(SOFTHSM))
    private = tmp_path / "import.pem"
    private.write_bytes(KEY.encrypted(None))
    for arguments in (
        ["--init-token", "--free", "--label", LABEL, "--so-pin", PIN, "--pin", PIN],
        ["--import", private, "--token", LABEL, "--label", "k", "--id", "02", "--pin", PIN],
    ):
        subprocess.run([program, *arguments], check=True, capture_output=True)
    return f"hsm:2?label={LABEL}", KEY.pem


# A PKCS#11 module is loaded once a process and keeps the settings it saw: each case has its own.
HSM_SCRIPT = """
import sys
from lockgate.errors import LockgateError
from lockgate.signing.keys import verify
from lockgate.signing.kms import DeviceSigner

uri, pin, pem = sys.argv[1], sys.argv[2], sys.argv[3].encode()
asked = []
signer = DeviceSigner(uri, pem, lambda: asked.append(1) or pin)
try:
    assert all(verify(pem, signer.sign(data), data) for data in (b"one", b"two"))
except LockgateError as error:
    print(f"{error.code}: {error.message}")
else:
    print(f"signed, asked {len(asked)} time(s)")
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda uri, pem: (uri, PIN, pem), "signed, asked 1 time(s)"),
        (lambda uri, pem: (uri, "9999", pem), "unavailable: the key at `hsm:2?label="),
        (lambda uri, pem: (uri.replace("hsm:2", "hsm:7"), PIN, pem), "unavailable: the key at"),
        (lambda uri, _: (uri, PIN, OTHER.pem), "denied: the key at `hsm:2?label="),
    ],
    ids=["right", "wrong pin", "no such key", "another key"],
)
def test_a_hardware_token_signs_or_says_why_not(
    token: tuple[str, bytes],
    change: Callable[[str, bytes], tuple[str, str, bytes]],
    expected: str,
) -> None:
    uri, pin, pem = change(*token)

    done = subprocess.run(
        [sys.executable, "-c", HSM_SCRIPT, uri, pin, pem.decode()],
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout.startswith(expected)
