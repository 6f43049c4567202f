import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lockgate.cli.main import execute
from lockgate.signing.keys import PrivateKey
from programs import require

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = execute(list(arguments))
    output = capsys.readouterr()
    return status, output.out, output.err


def new(capsys: pytest.CaptureFixture[str], name: str) -> None:
    status, _, err = run(capsys, "key", "new", name, "--passphrase-file", "secret")
    assert status == 0, err


def test_a_new_key_is_listed_shown_and_exported(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    new(capsys, "build")

    (listed,) = json.loads(run(capsys, "key", "list", "--json")[1])
    shown = json.loads(run(capsys, "key", "show", "build", "--json")[1])
    exported = run(capsys, "key", "export", "build")[1]

    assert shown == {**listed, "trusted": None}
    assert (listed["name"], listed["encrypted"], listed["uri"]) == ("build", True, None)
    assert exported == listed["pem"]
    assert exported.startswith("-----BEGIN PUBLIC KEY-----\n")
    path = workplace / "data" / "keys" / "build.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_openssl_opens_the_key_with_the_passphrase(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    new(capsys, "build")
    text = (workplace / "data" / "keys" / "build.key").read_text()
    private = workplace / "private.pem"
    private.write_text(text[text.index("-----BEGIN ENCRYPTED") :])

    opened = subprocess.run(
        [require("openssl"), "pkey", "-in", private, "-passin", f"pass:{SECRET}", "-pubout"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert opened.stdout == run(capsys, "key", "export", "build")[1]


def test_the_passphrase_comes_from_the_variable_that_the_configuration_names(
    capsys: pytest.CaptureFixture[str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "lockgate.toml").write_text('[keys]\npassphrase_env = "BUILD_SECRET"\n')

    status, _, err = run(capsys, "key", "new", "build")
    assert (status, "`BUILD_SECRET` is not set" in err) == (2, True)

    monkeypatch.setenv("BUILD_SECRET", SECRET)
    assert run(capsys, "key", "new", "build")[0] == 0
    assert run(capsys, "trust", "init", "--sign", "build", "--holder", "ana")[0] == 0


def test_a_key_without_a_passphrase_is_asked_for_and_warned_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, err = run(capsys, "key", "new", "build", "--no-passphrase")

    assert status == 0
    assert "warning: whoever can read the file can sign with this key" in err
    assert "NO" in run(capsys, "key", "list")[1]


NEW_KEY = [sys.executable, "-m", "lockgate", "key", "new", "build"]


def test_a_passphrase_is_asked_for_twice_at_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with typing(SECRET, SECRET) as child:
        assert child.wait(30) == 0

    Path("secret").write_text(SECRET)
    init = ["trust", "init", "--sign", "build", "--holder", "ana"]
    assert run(capsys, *init, "--passphrase-file", "secret")[0] == 0


@contextmanager
def typing(*lines: str) -> Generator[subprocess.Popen[bytes]]:
    """Make a key at a terminal of its own, where somebody types `lines`."""
    ours, theirs = pty.openpty()
    make_terminal = (
        "import fcntl, runpy, sys, termios\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "sys.argv = ['lockgate', 'key', 'new', 'build']\n"
        "runpy.run_module('lockgate', run_name='__main__')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", make_terminal],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        for line in lines:
            shown = b""
            while not shown.endswith(b": "):
                shown += os.read(ours, 100)
            os.write(ours, line.encode() + b"\n")
        yield child
    finally:
        os.close(ours)
        child.wait(30)


def test_with_no_terminal_the_other_ways_are_named() -> None:
    done = subprocess.run(
        NEW_KEY,
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        start_new_session=True,
    )

    assert done.returncode == 2
    assert "there is no terminal to ask for it" in done.stderr
    assert "`--passphrase-file`" in done.stderr


@pytest.mark.parametrize(
    ("secret", "why"),
    [("", "has 0 bytes"), ("short", "has 5 bytes"), ("a" * 30, "1 different characters")],
)
def test_a_weak_passphrase_is_refused(
    capsys: pytest.CaptureFixture[str], workplace: Path, secret: str, why: str
) -> None:
    (workplace / "secret").write_text(secret)

    status, out, err = run(capsys, "key", "new", "build", "--passphrase-file", "secret")

    assert (status, out) == (2, "")
    assert why in err
    assert "at least" in err


def test_an_existing_key_is_never_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    new(capsys, "build")
    before = run(capsys, "key", "export", "build")[1]

    status, _, err = run(capsys, "key", "new", "build", "--no-passphrase")

    assert status == 2
    assert "there is a key `build` already" in err
    assert "hint: see `lockgate key rotate build`" in err
    assert run(capsys, "key", "export", "build")[1] == before


def test_rotating_keeps_the_old_key_and_says_what_to_do_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    new(capsys, "build")
    old = run(capsys, "key", "export", "build")[1]

    status, out, err = run(capsys, "key", "rotate", "build", "--passphrase-file", "secret")

    assert status == 0
    names = [item["name"] for item in json.loads(run(capsys, "key", "list", "--json")[1])]
    assert names[0] == "build"
    assert names[1].startswith("build.")
    assert run(capsys, "key", "export", names[1])[1] == old
    assert names[1].removeprefix("build.") in err
    assert "lockgate trust revoke" in err
    assert out.split()[0] == "build"


def test_a_key_in_a_device_is_linked_once_it_has_signed(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    device, other = PrivateKey.new(), PrivateKey.new()
    (workplace / "device.pem").write_bytes(device.encrypted(None))
    (workplace / "device.pub").write_bytes(device.pem)
    (workplace / "other.pub").write_bytes(other.pem)
    link = ["key", "link", "hsm", "--uri", f"file2:{workplace}/device.pem", "--pem"]

    refused = run(capsys, *link, "other.pub")
    linked = run(capsys, *link, "device.pub", "--json")

    assert (refused[0], "does not" in refused[2]) == (4, True)
    assert json.loads(linked[1])["uri"] == f"file2:{workplace}/device.pem"
    assert f"at file2:{workplace}" in run(capsys, "key", "list")[1]
    assert run(capsys, "trust", "init", "--sign", "hsm", "--holder", "ana")[0] == 0


def test_the_extra_is_named_when_it_is_missing(
    capsys: pytest.CaptureFixture[str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workplace / "key.pub").write_bytes(PrivateKey.new().pem)
    monkeypatch.setitem(sys.modules, "lockgate.signing.kms", None)

    status, _, err = run(capsys, "key", "link", "hsm", "--uri", "hsm:2", "--pem", "key.pub")

    assert status == 4
    assert "needs the extra `kms`" in err
    assert "pip install 'lockgate[kms]'" in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["key", "show", "nobody"], "there is no key `nobody`"),
        (["key", "export", "../../etc/passwd"], "there is no key `../../etc/passwd`"),
        (["key", "new", "../x", "--no-passphrase"], "cannot be a key's name"),
        (["key", "new", "x", "--passphrase-file", "none"], "`none` cannot be read"),
        (["key", "link", "x", "--uri", "ftp:x", "--pem", "secret"], "has the scheme `ftp`"),
        (["key", "link", "x", "--uri", "hsm:2", "--pem", "secret"], "not PEM"),
        (["key", "link", "x", "--uri", "hsm:2", "--pem", "none"], "`none` cannot be read"),
    ],
)
def test_a_mistake_is_said_with_its_value(
    capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    status, out, err = run(capsys, *arguments)

    assert (status, out) == (2, "")
    assert "error[" in err
    assert why in err


def test_help_imports_no_cryptography() -> None:
    script = (
        "import json, sys\n"
        "from lockgate.cli.main import execute\n"
        "for command in ('key', 'trust'):\n"
        "    execute([command, '--help'])\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)

    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"lockgate.cli.key", "lockgate.cli.trust"} <= loaded
    assert not {"cryptography", "securesystemslib", "pydantic"} & loaded
