import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lockgate.cli.main import execute


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = execute(list(arguments))
    return status, capsys.readouterr().out


def prepare(capsys: pytest.CaptureFixture[str]) -> None:
    """Two events, a checkpoint of them, and a third event."""
    assert run(capsys, "key", "new", "build", "--no-passphrase")[0] == 0
    Path("build.pub").write_text(run(capsys, "key", "export", "build")[1])
    for name in ("a", "b"):
        assert run(capsys, "token", "new", name, "--team", "t")[0] == 0
    assert run(capsys, "audit", "checkpoint", "--sign", "build", "-o", "two.checkpoint")[0] == 0
    assert run(capsys, "token", "new", "c", "--team", "t")[0] == 0


def verify(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    given = ("--checkpoint", "two.checkpoint", "--public-key", "build.pub")
    return run(capsys, "audit", "verify", *given, *more)


def test_a_log_that_agrees_with_its_checkpoint_is_whole_as_is_its_export(
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(capsys)
    assert verify(capsys) == (0, "the audit log is whole: 3 event(s)\n")
    run(capsys, "audit", "export", "-o", "log.jsonl")
    assert verify(capsys, "--file", "log.jsonl")[0] == 0


def test_a_log_that_was_rewritten_as_a_whole_is_broken(
    capsys: pytest.CaptureFixture[str], workplace: Path
) -> None:
    prepare(capsys)
    with closing(sqlite3.connect(workplace / "state" / "lockgate.db")) as raw, raw:
        for table in ("audit", "audit_head", "gateway_keys"):
            raw.execute(f"DELETE FROM {table}")
    for name in ("x", "y", "z"):
        run(capsys, "token", "new", name, "--team", "t")

    assert run(capsys, "audit", "verify")[0] == 0
    status, out = verify(capsys, "--json")
    assert (status, json.loads(out)["whole"]) == (1, False)
    assert "the checkpoint of" in json.loads(out)["problem"]
    run(capsys, "audit", "export", "-o", "log.jsonl")
    assert verify(capsys, "--file", "log.jsonl")[0] == 1


def test_a_checkpoint_by_a_key_that_does_not_count_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(capsys)
    assert run(capsys, "audit", "verify", "--checkpoint", "two.checkpoint")[0] == 2


def test_an_empty_log_has_no_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "key", "new", "build", "--no-passphrase")
    assert run(capsys, "audit", "checkpoint", "--sign", "build", "-o", "c")[0] == 2
    assert not Path("c").exists()
