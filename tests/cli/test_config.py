import json
from pathlib import Path

import pytest

from lockgate.cli.main import execute


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCKGATE_CONFIG", raising=False)
    return tmp_path


def test_check_lists_every_problem_on_stdout_and_exits_with_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "lockgate.toml"
    path.write_text("[store]\nurk = 1\n[audit]\npayload_retention_days = -1\n")

    status = execute(["config", "check"])

    captured = capsys.readouterr()
    assert status == 1
    assert captured.out.splitlines() == [
        f"{path}:2: `store.urk` is not a setting; did you mean `url`?",
        f"{path}:4: `audit.payload_retention_days`: input should be greater than or equal to 0",
    ]
    assert captured.err == f"{path}: 2 problems\n"


def test_check_as_json_has_files_lines_and_messages(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "x.toml").write_text("stoer = 1\n")

    status = execute(["config", "check", "x.toml", "--json"])

    assert status == 1
    assert json.loads(capsys.readouterr().out) == {
        "file": "x.toml",
        "problems": [
            {"line": 1, "message": "`stoer` is not a setting; did you mean `store`?"},
        ],
    }


def test_check_of_a_good_file_or_of_none_passes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["config", "check"]) == 0
    (folder / "lockgate.toml").write_text("[audit]\n")
    assert execute(["config", "check"]) == 0
    assert capsys.readouterr().out == ""


def test_check_of_a_missing_file_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["config", "check", "missing.toml"]) == 2
    assert "error[invalid-config]: cannot read `missing.toml`" in capsys.readouterr().err


def test_show_names_the_line_of_each_setting(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "lockgate.toml"
    path.write_text("[audit]\npayload_retention_days = 7\n")

    assert execute(["config", "show", "--json"]) == 0

    shown = json.loads(capsys.readouterr().out)
    assert shown["file"] == str(path)
    assert {
        "key": "audit.payload_retention_days",
        "value": 7,
        "from": f"{path}:2",
    } in shown["settings"]
    assert {s["key"] for s in shown["environment"]} >= {"data_dir", "state_dir", "hf_token is set"}


def test_show_never_prints_a_secret(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_TOKEN", "hush-hush")
    monkeypatch.setenv("HF_TOKEN", "hush-hush")
    (folder / "lockgate.toml").write_text(
        '[backends.v]\nkind = "openai"\nurl = "http://h/v1"\ntoken_env = "VLLM_TOKEN"\n'
    )

    assert execute(["config", "show"]) == 0

    captured = capsys.readouterr()
    assert "VLLM_TOKEN" in captured.out
    assert "hush-hush" not in captured.out + captured.err


def test_schema_prints_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["config", "schema"]) == 0
    assert "store" in json.loads(capsys.readouterr().out)["properties"]
