import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.cli.main import execute
from oci.samples import file_entry, gguf

GGUF = gguf(10)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the model `tiny` pulled, and the key `build`."""
    (tmp_path / "w.gguf").write_bytes(GGUF)
    listed = file_entry("w.gguf", GGUF)
    (tmp_path / "lockgate.toml").write_text(
        '[models.tiny]\nsource = "file"\npath = "."\nbackend = "llama_cpp"\n'
        "[[models.tiny.files]]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in listed.items())
    )
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    assert execute(["model", "pull", "tiny"]) == 0
    assert execute(["key", "new", "build", "--no-passphrase"]) == 0
    return tmp_path


def checked(workplace: Path, data: bytes) -> int:
    """Let the program `model_signing` verify a folder with the file of the model."""
    folder = workplace / "tiny"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "w.gguf").write_bytes(data)
    program = [sys.executable, "-W", "ignore", "-m", "model_signing", "verify", "key"]
    files = ["--signature", "tiny.sig", "--public_key", "build.pub"]
    return subprocess.run(
        [*program, *files, "tiny"], check=False, capture_output=True, cwd=workplace
    ).returncode


def test_the_program_model_signing_verifies_a_model_that_we_signed(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["model", "sign", "tiny", "--sign", "build", "-o", "tiny.sig"]) == 0
    capsys.readouterr()
    assert execute(["key", "export", "build"]) == 0
    (workplace / "build.pub").write_text(capsys.readouterr().out)

    assert checked(workplace, GGUF) == 0
    assert checked(workplace, GGUF[:-1] + b"\xff") != 0


def test_a_damaged_model_is_not_signed(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (blob,) = (p for p in workplace.rglob("sha256/*") if p.read_bytes() == GGUF)
    blob.chmod(0o600)
    blob.write_bytes(GGUF[:-1] + b"\xff")

    assert execute(["model", "sign", "tiny", "--sign", "build", "-o", "tiny.sig"]) == 4

    assert "the model `tiny` is damaged" in capsys.readouterr().err
    assert not (workplace / "tiny.sig").exists()
