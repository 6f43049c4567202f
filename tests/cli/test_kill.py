import json
from pathlib import Path

import pytest

from lockgate.cli.main import execute


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = execute([*arguments])
    output = capsys.readouterr()
    return status, output.out, output.err


def test_what_is_turned_off_is_listed_until_it_is_turned_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run(capsys, "kill", "off", "task", "review", "--reason", "leaks names")
    assert (status, out, err) == (0, "off: task review\n", "")
    _, out, _ = run(capsys, "kill", "list", "--json")
    (kill,) = json.loads(out)
    assert (kill["scope"], kill["name"], kill["leaves"]) == ("task", "review", "rules")
    assert kill["reason"] == "leaks names"
    status, out, _ = run(capsys, "kill", "on", "task", "review", "--reason", "fixed")
    assert (status, out) == (0, "on: task review\n")
    assert json.loads(run(capsys, "kill", "list", "--json")[1]) == []


def test_each_change_is_in_the_audit_log_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(capsys, "kill", "off", "all", "--leave", "nothing", "--reason", "incident-12")
    run(capsys, "kill", "on", "all", "--reason", "over")
    _, out, _ = run(capsys, "audit", "list", "--json")
    on, off = json.loads(out)
    assert (off["action"], off["subject"]) == ("kill.off", "all")
    assert off["detail"] == {"leaves": "nothing", "reason": "incident-12"}
    assert (on["action"], on["detail"]) == ("kill.on", {"reason": "over"})
    assert run(capsys, "audit", "verify")[0] == 0


def test_turning_on_what_is_not_off_fails_and_leaves_no_audit_event(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, err = run(capsys, "kill", "on", "model", "smollm2", "--reason", "x")
    assert status == 2
    assert "error[not-found]: `model smollm2` is not off" in err
    assert json.loads(run(capsys, "audit", "list", "--json")[1]) == []


def test_a_name_that_nobody_knows_is_turned_off_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, err = run(capsys, "kill", "off", "task", "reviw", "--reason", "x")
    assert status == 0
    assert "warning: no task `reviw` is known here" in err


@pytest.mark.parametrize("what", [("all", "review"), ("task",), ("model",)])
def test_a_kill_without_its_name_or_with_one_too_many_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], what: tuple[str, ...]
) -> None:
    status, _, err = run(capsys, "kill", "off", *what, "--reason", "x")
    assert status == 2
    assert "a name" in err or "no name" in err


def test_a_reason_is_not_optional(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "kill", "off", "all")[0] == 2


def test_the_list_reads_well(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "kill", "off", "model", "smollm2", "--reason", "wrong answers")
    _, out, _ = run(capsys, "kill", "list")
    assert out.splitlines()[0].split() == ["SCOPE", "NAME", "LEAVES", "SINCE", "ACTOR", "REASON"]
    assert "wrong answers" in out


def test_a_task_may_be_named_with_a_colon(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(
        capsys, "kill", "off", "task:review", "--leaves", "nothing", "--reason", "x"
    )
    assert (status, out) == (0, "off: task review\n")
    (kill,) = json.loads(run(capsys, "kill", "list", "--json")[1])
    assert (kill["scope"], kill["name"], kill["leaves"]) == ("task", "review", "nothing")
    assert run(capsys, "kill", "on", "task:review", "--reason", "x")[0] == 0


@pytest.mark.parametrize("what", ["everything", "route:chat", "", "task:a:b review", ":", "ALL"])
def test_what_is_neither_a_task_nor_a_model_cannot_be_turned_off(
    capsys: pytest.CaptureFixture[str], what: str
) -> None:
    status, _, err = run(capsys, "kill", "off", *what.split(" "), "--reason", "x")
    assert status == 2
    assert "cannot be turned off" in err
