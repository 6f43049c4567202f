"""`lockgate label`: what is doubtful, what people say, and the cases that come of it."""

import io
import json
from pathlib import Path

import pytest

from lockgate.cli.main import execute

DIFF = "--- a/app.py\n+++ b/app.py\n@@ -1,0 +2 @@\n+value = eval(text)\n"


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.fixture
def doubtful(capsys: pytest.CaptureFixture[str]) -> None:
    """Three calls whose model is missing, and one that asked for rules."""
    assert execute(["task", "new", "triage"]) == 0
    for text in ("no space left on device", "connection refused", "\x1b[2Jsegmentation fault"):
        Path("in.txt").write_text(text)
        assert execute(["run", "triage", "in.txt", "--engine", "model"]) == 0
    assert execute(["run", "triage", "in.txt", "--engine", "rules"]) == 0
    capsys.readouterr()


def counts(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert execute(["label", "triage", "--json"]) == 0
    out = capsys.readouterr().out
    found: dict[str, object] = json.loads(out[out.index("{") :])
    return found


def answer(monkeypatch: pytest.MonkeyPatch, *lines: str, who: str = "ana") -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return execute(["label", "triage", "--labeller", who])


def right_output() -> str:
    execute(["label", "triage", "--export", "todo.jsonl", "--labeller", "nobody"])
    row = json.loads(Path("todo.jsonl").read_text().splitlines()[0])
    return json.dumps(row["output"])


@pytest.mark.usefixtures("doubtful")
def test_answers_that_fell_back_wait_and_those_as_asked_for_do_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = counts(capsys)
    assert found == {"task": "triage", "doubtful": 3, "waiting": 3, "labellers": {}}
    assert counts(capsys)["doubtful"] == 3  # a second look adds nothing


def test_an_input_that_another_release_answers_otherwise_waits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute(["task", "new", "triage"]) == 0
    Path("in.txt").write_text("no space left on device")
    assert execute(["run", "triage", "in.txt", "--engine", "rules"]) == 0
    assert execute(["run", "triage", "in.txt", "--engine", "rules"]) == 0
    capsys.readouterr()
    assert counts(capsys)["doubtful"] == 0
    Path("tasks/triage/rules.json.j2").write_text('{"category": "other", "words": ""}')
    assert execute(["run", "triage", "in.txt", "--engine", "rules"]) == 0
    capsys.readouterr()

    assert counts(capsys)["doubtful"] == 1
    execute(["label", "triage", "--export", "todo.jsonl"])
    (row,) = [json.loads(line) for line in Path("todo.jsonl").read_text().splitlines()]
    assert row["reasons"][0].startswith("another release answered otherwise in the call `")
    assert row["output"]["category"] == "other"


@pytest.mark.usefixtures("doubtful")
def test_what_is_said_at_the_terminal_becomes_cases(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = right_output()
    assert answer(monkeypatch, "x", "a", "c", "{", "c", '{"no": 1}', "c", right, "s") == 0
    out, err = capsys.readouterr()
    assert "2 judged, 1 wait" in out
    assert "not JSON" in err
    assert "does not match the task's output schema" in err
    assert "\x1b" not in out
    assert "degraded: " in out
    assert execute(["label", "triage", "--cases", "cases.jsonl"]) == 0
    cases = [json.loads(line) for line in Path("cases.jsonl").read_text().splitlines()]
    assert len(cases) == 2
    assert {"name", "input", "expect"} == set(cases[0])
    assert json.loads(right) in [case["expect"] for case in cases]
    assert counts(capsys)["labellers"] == {"ana": 2}


@pytest.mark.usefixtures("doubtful")
def test_a_session_that_breaks_off_keeps_what_was_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer(monkeypatch, "r") == 0
    assert "1 judged, 2 wait" in capsys.readouterr().out
    assert answer(monkeypatch, "q") == 0
    assert "0 judged, 2 wait" in capsys.readouterr().out
    assert answer(monkeypatch, "q", who="bo") == 0
    assert "0 judged, 3 wait" in capsys.readouterr().out


@pytest.mark.usefixtures("doubtful")
def test_cases_written_are_those_that_a_task_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "a", "a", "a")
    execute(["label", "triage", "--cases", "tasks/triage/cases.jsonl"])
    capsys.readouterr()
    assert execute(["eval", "triage", "--engine", "rules"]) == 0
    assert "3 of 3" in capsys.readouterr().out


@pytest.mark.usefixtures("doubtful")
def test_a_script_exports_and_imports_and_what_is_wrong_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute(["label", "triage", "--export", "todo.jsonl"]) == 0
    first, second, third = map(json.loads, Path("todo.jsonl").read_text().splitlines())
    assert first["judgement"] is None
    rows = [
        {**first, "judgement": "accept"},
        {**second, "judgement": "correct"},
        {**second, "judgement": "maybe"},
        {"call": "unknown", "judgement": "reject"},
        third,
    ]
    Path("done.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows) + "{\n")
    assert execute(["label", "triage", "--import", "done.jsonl", "--labeller", "bo"]) == 1
    out, err = capsys.readouterr()
    assert "1 label(s) taken, 4 not" in out
    assert "line 2: a correction lacks `expect`" in err
    assert "line 3: `judgement` is `maybe`" in err
    assert "line 4: the call `unknown` is not in the queue" in err
    assert "line 6: it is not JSON" in err
    assert counts(capsys)["labellers"] == {"bo": 1}


@pytest.mark.usefixtures("doubtful")
def test_agreement_is_kappa_and_what_is_disputed_is_no_case(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "a", "a", "r")
    answer(monkeypatch, "a", "r", "r", who="bo")
    capsys.readouterr()
    assert execute(["label", "triage", "--agreement", "ana", "bo"]) == 0
    # They agree on 2 of 3; by chance on (2 * 1 + 1 * 2) / 9.
    assert capsys.readouterr().out.startswith("kappa 0.400 (")
    assert execute(["label", "triage", "--cases", "cases.jsonl"]) == 0
    out, err = capsys.readouterr()
    assert "1 case(s), 1 rejected" in out
    assert err.count("disputed") == 1
    answer(monkeypatch, "q", who="bo")
    assert execute(["label", "triage", "--agreement", "ana", "caro"]) == 2
    assert "none in common" in capsys.readouterr().err


def test_little_confidence_is_doubtful(capsys: pytest.CaptureFixture[str]) -> None:
    Path("d.patch").write_text(DIFF)
    assert execute(["run", "review", "d.patch", "--engine", "rules"]) == 0
    capsys.readouterr()
    assert execute(["label", "review", "--below", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["doubtful"] == 0
    assert execute(["label", "review", "--below", "1", "--export", "q.jsonl"]) == 0
    (row,) = map(json.loads, Path("q.jsonl").read_text().splitlines())
    assert row["reasons"] == [f"the confidence is {row['confidence']:.2f}, below 1.00"]
    assert row["input"]["diff"] == DIFF


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing",), "there is no task `nothing`"),
        (("review", "--export", "a", "--cases", "b"), "one of --export"),
        (("review", "--import", "no.jsonl"), "cannot be read"),
        (("review", "--agreement", "a", "b"), "none in common"),
        (("review", "--below", "2"), "not in the range"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["label", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_damaged_queue_is_told_with_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    queue = tmp_path / "state" / "labels" / "review" / "queue.jsonl"
    queue.parent.mkdir(parents=True)
    queue.write_text('{"call": "x"}\n')
    assert execute(["label", "review"]) == 2
    assert "no item of a queue" in capsys.readouterr().err
    queue.write_text("{\n")
    assert execute(["label", "review"]) == 2
    assert "line 1" in capsys.readouterr().err
