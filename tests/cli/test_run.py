import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lockgate.cli.main import COMMANDS, execute

TASK = "log-triage"
FULL = "write /var/lib/data: no space left on device\n"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with state and data of its own and one prompt-only task."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert execute(["task", "new", TASK]) == 0
    (folder / "full.log").write_text(FULL)
    return folder


def run(*arguments: str) -> int:
    return execute(["run", TASK, "full.log", *arguments])


def events() -> list[dict[str, object]]:
    shown = subprocess.run(
        [sys.executable, "-m", "lockgate", "audit", "list", "--json"],
        check=True,
        capture_output=True,
    )
    found: list[dict[str, object]] = json.loads(shown.stdout)
    return found


def test_a_new_task_runs_and_its_cases_pass(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["task", "check", TASK]) == 0
    assert "3 of 3 case(s) passed" in capsys.readouterr().out

    assert run("--engine", "rules") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["category"], answer["engine"], answer["degraded"]) == ("disk", "rules", False)
    assert answer["release"].startswith("sha256:")


def test_without_the_model_the_rules_answer_and_say_how_to_get_it(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--engine", "model") == 0

    out, err = capsys.readouterr()
    assert json.loads(out)["engine"] == "rules"
    assert "degraded: " in err
    assert "lockgate model pull smollm2" in err


def test_strict_exits_with_3_when_the_answer_is_degraded(workplace: Path) -> None:
    assert run("--strict", "--engine", "model") == 3
    assert run("--strict", "--engine", "rules") == 0


def test_a_task_that_may_not_fall_back_fails_with_the_command_to_run(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "lockgate.toml").write_text(f'[tasks.{TASK}]\non_unavailable = "refuse"\n')

    assert run("--engine", "model") == 4

    out, err = capsys.readouterr()
    assert out == ""
    assert "error[no-answer]" in err
    assert "lockgate model pull smollm2" in err


def test_formats_go_to_files_and_one_to_standard_output(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--engine", "rules", "--format", "json=out.json", "--format", "markdown") == 0

    assert "**category**: disk" in capsys.readouterr().out
    assert json.loads(Path("out.json").read_text())["category"] == "disk"
    assert sorted(p.name for p in workplace.iterdir()) == ["full.log", "out.json", "tasks"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "log-triag"], "did you mean `log-triage`?"),
        (["run", "nothing-like-it"], "lockgate task list"),
        (["run", TASK, "full.log", "--format", "pdf"], "has no format `pdf`"),
        (["run", TASK, "full.log", "--format", "json", "--format", "markdown"], "only one format"),
        (["run", TASK, "absent.log"], "`absent.log` cannot be read"),
        (["run", TASK, "--input", "full.log"], "is not JSON"),
        (["task", "new", TASK], "exists already"),
        (["task", "new", "../x"], "cannot be a task's name"),
        (["task", "show", "none"], "there is no task `none`"),
        (["replay", "none"], "no call `none`"),
        (["audit", "show", "none"], "no call `none`"),
    ],
)
def test_usage_errors_exit_with_2_and_say_what_to_do(
    workplace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert execute(arguments) == 2

    assert message in capsys.readouterr().err


def test_an_input_that_is_too_long_for_the_schema_is_refused_and_recorded(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "full.log").write_text("x" * 5000)

    assert run("--engine", "rules") == 2

    assert "error[invalid-input]" in capsys.readouterr().err
    detail = events()[0]["detail"]
    assert isinstance(detail, dict)
    assert detail["outcome"] == "invalid-input"


def test_an_output_file_that_cannot_be_written_is_a_clear_error(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--engine", "rules", "--format", "json=none/out.json") == 4
    assert "`none/out.json` cannot be written" in capsys.readouterr().err


def test_a_state_folder_that_cannot_be_written_is_a_clear_error(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(workplace / "full.log" / "state"))

    assert run("--engine", "rules") == 4

    assert "LOCKGATE_STATE_DIR" in capsys.readouterr().err


def test_a_full_disk_leaves_no_half_written_file(workplace: Path) -> None:
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 0; exec "$@"', "-", *_command("--engine", "rules")],
        # Python keeps what it could write of a module under the limit, for all who come later.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert limited.returncode != 0
    assert sorted(p.name for p in workplace.iterdir()) == ["full.log", "tasks"]


def test_a_secret_is_in_neither_the_answer_nor_the_database(
    workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2"
    (workplace / "full.log").write_text(f"permission denied for {token}")

    assert run("--engine", "rules") == 0

    assert token not in capsys.readouterr().out
    stored = b"".join(p.read_bytes() for p in (tmp_path / "state").iterdir())
    assert token.encode() not in stored
    assert execute(["audit", "show", "last", "--json"]) == 0
    assert "<secret:github-pat:1>" in capsys.readouterr().out


def test_a_replay_gives_the_same_bytes(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--engine", "rules") == 0
    capsys.readouterr()

    assert execute(["replay", "last", "--json"]) == 0

    result = json.loads(capsys.readouterr().out)
    assert (result["same"], result["recorded"]) == (True, result["replayed"])


def test_a_replay_of_a_changed_task_says_so(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--engine", "rules") == 0
    rules = workplace / "tasks" / TASK / "rules.json.j2"
    rules.write_text('{"category": "other", "words": ""}')
    capsys.readouterr()

    assert execute(["replay", "last"]) == 1

    out = capsys.readouterr().out
    assert "different bytes" in out
    assert "release   was" in out


def test_the_log_is_verified_and_exported(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        assert run("--engine", "rules") == 0
    assert execute(["audit", "verify"]) == 0
    assert "is whole: 3 event(s)" in capsys.readouterr().out
    assert execute(["audit", "export", "-o", "log.jsonl"]) == 0
    assert execute(["audit", "verify", "--file", "log.jsonl"]) == 0

    log = workplace / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"outcome":"answered"', b'"outcome":"Answered"', 1))
    capsys.readouterr()

    assert execute(["audit", "verify", "--file", "log.jsonl"]) == 1
    assert "BROKEN: audit event 1" in capsys.readouterr().out


def test_two_runs_at_once_both_answer(workplace: Path) -> None:
    running = [
        subprocess.Popen(_command("--engine", "rules"), stdout=subprocess.PIPE) for _ in range(4)
    ]
    answers = {process.communicate(timeout=60)[0] for process in running}

    assert [process.returncode for process in running] == [0] * 4
    assert len(answers) == 1
    assert execute(["audit", "verify"]) == 0
    assert len(events()) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_call_ends_with_130_and_leaves_its_event(
    workplace: Path, number: signal.Signals
) -> None:
    # A model server that accepts and never answers keeps the call waiting.
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        (workplace / "lockgate.toml").write_text(
            f'[backends.slow]\nkind = "openai"\nurl = "http://127.0.0.1:{silent.getsockname()[1]}/v1"\n'
            f'data_classes = ["internal"]\n[tasks.{TASK}.models]\ntext = {{backend = "slow"}}\n'
        )
        process = subprocess.Popen(
            _command("--engine", "model"), stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)
            process.send_signal(number)
            _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert b"Traceback" not in err
    detail = events()[0]["detail"]
    assert isinstance(detail, dict)
    assert detail["outcome"] == "cancelled"


def _command(*arguments: str) -> Sequence[str]:
    # A shell starts background jobs with SIGINT ignored, and children inherit that.
    python = ["env", "--default-signal=INT", sys.executable]
    return [*python, "-m", "lockgate", "run", TASK, "full.log", *arguments]


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert execute([name, "--help"]) == 0
        shown = capsys.readouterr().out
        if "Commands:" not in shown:
            assert "Examples:" in shown, name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["completion", shell]) == 0
    assert "_LOCKGATE_COMPLETE" in capsys.readouterr().out


def test_help_loads_no_heavy_library() -> None:
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lockgate", "--help"],
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    modules = {line.rpartition("|")[2].strip() for line in loaded.splitlines()}

    assert modules.isdisjoint(
        {"pydantic", "numpy", "httpx2", "jinja2", "sqlite3", "asyncio", "onnxruntime", "re2"}
    )


def test_a_reader_that_goes_away_is_no_failed_gate(workplace: Path) -> None:
    process = subprocess.Popen(
        _command("--engine", "rules"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()

    assert process.wait(timeout=30) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_the_doctor_names_what_is_missing(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["doctor", "--json"]) == 0

    found = {item["name"]: item for item in json.loads(capsys.readouterr().out)}
    assert found["git"]["status"] == "ok"
    assert found["smollm2"]["hint"] == "lockgate model pull smollm2"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["nosuch"], "no such command 'nosuch'", "see `lockgate --help`"),
        (["model", "pul"], "Did you mean 'pull'", "see `lockgate model --help`"),
        (["audit", "list", "--limit", "x"], "invalid value for '--limit'", "lockgate audit list"),
    ],
)
def test_a_wrong_command_line_looks_like_every_other_error(
    arguments: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(arguments) == 2

    err = capsys.readouterr().err
    assert err.startswith("error[usage]: ")
    assert message in err
    assert hint in err
