"""`lockgate serve` as a process that signs checkpoints of the audit log."""

import json
import os
from pathlib import Path
from urllib.request import urlopen

import pytest

from cli.test_serve import EVAL, folder, serving
from lockgate.app.trust import unattended_signer
from lockgate.cli.main import execute
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.config.settings import Config, KeySettings
from lockgate.errors import Denied

__all__ = ["folder"]

SIGNED = '[audit]\ncheckpoint_signer = "auditor"\ncheckpoint_every_s = 3600\n'


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = execute(list(arguments))
    return status, capsys.readouterr().out


def test_what_a_gateway_wrote_is_signed_at_its_end_and_the_verifier_takes_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "key", "new", "auditor", "--no-passphrase")[0] == 0
    Path("auditor.pub").write_text(run(capsys, "key", "export", "auditor")[1])
    (folder / "lockgate.toml").write_text(SIGNED)
    with serving(folder) as process:
        for _ in range(3):
            process.ask("/review?engine=rules", EVAL)
        with urlopen(f"{process.url}/metrics", timeout=30) as answer:  # noqa: S310
            page = answer.read().decode()
        assert "lockgate_checkpoint_failures_total 0\n" in page
    events = json.loads(run(capsys, "audit", "list", "--json")[1])
    files = sorted((folder.parent / "state" / "checkpoints").iterdir())
    assert [file.name for file in files][-1] == f"{events[0]['seq']:020}.checkpoint"
    checkpoints = [word for file in files for word in ("--checkpoint", str(file))]
    verify = ("audit", "verify", *checkpoints, "--public-key", "auditor.pub")
    assert run(capsys, *verify) == (0, "the audit log is whole: 3 event(s)\n")

    # The next one says so over HTTP, to whoever may ask.
    with serving(folder) as process:
        newest = process.ask("/admin/audit/checkpoint")
    assert (newest["seq"], newest["digest"]) == (3, events[0]["digest"])
    Path("newest.checkpoint").write_text(newest["bundle"])
    verify = ("audit", "verify", "--checkpoint", "newest.checkpoint", "--public-key", "auditor.pub")
    assert run(capsys, *verify)[0] == 0


def test_a_key_that_is_not_there_is_found_at_the_start(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "lockgate.toml").write_text(SIGNED)
    assert execute(["serve", "--listen", "127.0.0.1:0"]) == 2
    assert "there is no key `auditor`" in capsys.readouterr().err


def test_a_key_whose_passphrase_no_variable_holds_is_found_at_the_start(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("passphrase").write_text("correct horse battery")
    given = ("key", "new", "auditor", "--passphrase-file", "passphrase")
    assert run(capsys, *given)[0] == 0
    (folder / "lockgate.toml").write_text(SIGNED)
    assert execute(["serve", "--listen", "127.0.0.1:0"]) == 2
    assert "`keys.passphrase_env`" in capsys.readouterr().err
    loaded = Loaded(config=Config(keys=KeySettings(passphrase_env="P")), path=None, folder=folder)
    here = Environment.read({**os.environ, "P": "correct horse battery"})
    assert unattended_signer(loaded, here, "auditor").fingerprint
    here = Environment.read({**os.environ, "P": "another horse battery"})
    with pytest.raises(Denied, match="passphrase is wrong"):
        unattended_signer(loaded, here, "auditor")
