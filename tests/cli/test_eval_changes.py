"""`lockgate eval --changed-since`: what a change touches, and what it says of that."""

import json
import subprocess
from pathlib import Path

import pytest

from lockgate.cli.main import execute

from .test_eval import ECHO, workplace
from .test_eval_gates import line

__all__ = ["workplace"]
TASK = "log-triage"


def git(*arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
        check=True,
        capture_output=True,
    )


def commit() -> None:
    git("add", "-A")
    git("commit", "-q", "-m", "change", "--allow-empty")


@pytest.fixture
def repository(workplace: Path) -> Path:
    git("init", "-q")
    (workplace / "promptfooconfig.yaml").write_text(f"{ECHO}tests: c.jsonl\n")
    (workplace / "c.jsonl").write_text("".join(line(number) for number in range(10)))
    commit()
    return workplace


def changed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, int, str]:
    """Return the exit status, how many cases ran, and what was said."""
    capsys.readouterr()
    code = execute(["eval", "--changed-since", "HEAD", "--json", *arguments])
    out, err = capsys.readouterr()
    return code, json.loads(out)["summary"]["cases"] if out else -1, err


def test_without_a_change_nothing_runs_and_that_is_no_failure(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, cases, said = changed(capsys, "-o", "r.sarif")

    assert (code, cases) == (0, 0)
    assert "10 case(s) are untouched" in said
    invocation = json.loads(Path("r.sarif").read_text())["runs"][0]["invocations"][0]
    assert invocation["executionSuccessful"] is True
    assert invocation["exitCodeDescription"] == "unchanged"


def test_only_new_and_changed_cases_run(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line(number) for number in range(12)]
    lines[3] = line(3, right=False)
    (repository / "c.jsonl").write_text("".join(lines))

    code, cases, said = changed(capsys)

    assert (code, cases) == (100, 3)
    assert "2 case(s) run: the case is new" in said
    assert "1 case(s) run: the case, or what must hold of its answer, changed" in said


def test_a_changed_prompt_touches_every_case(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / "promptfooconfig.yaml"
    path.write_text(path.read_text().replace("'{{x}}'", "'{{x}}!'"))

    code, cases, said = changed(capsys)

    assert (code, cases) == (100, 10)
    assert "the prompt" in said


def test_a_moved_or_commented_line_touches_nothing(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line(number) for number in range(10)]
    (repository / "c.jsonl").write_text("\n" + "".join(reversed(lines)))
    path = repository / "promptfooconfig.yaml"
    path.write_text(f"# a comment\n{path.read_text()}")

    assert changed(capsys)[:2] == (0, 0)


def test_what_answers_touches_its_cases(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["task", "new", TASK]) == 0
    commit()
    assert changed(capsys, TASK, "--engine", "rules")[:2] == (0, 0)
    prompts = [p for p in (repository / "tasks" / TASK).iterdir() if "prompt" in p.name]
    prompts[0].write_text(f"{prompts[0].read_text()}\nBe brief.\n")

    code, cases, said = changed(capsys, TASK, "--engine", "rules")

    assert code == 0
    assert cases >= 2
    assert f"`lockgate:task:{TASK}` changed: " in said
    assert "pin" in said


def test_a_new_suite_runs_whole(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "new.yaml").write_text(f"{ECHO}tests: c.jsonl\n")

    code, cases, said = changed(capsys, "new.yaml")

    assert (code, cases) == (0, 10)
    assert "there was no such suite" in said


def test_results_of_the_whole_suite_stay(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["eval"]) == 0
    assert changed(capsys)[1] == 0

    kept = sorted((repository.parent / "state" / "evals").glob("*.jsonl"))
    assert [len(path.read_text().splitlines()) for path in kept] == [0, 10]


@pytest.mark.parametrize("base", ["no-such-commit", "--output=x", ""])
def test_a_base_that_is_no_commit_is_refused(
    repository: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["eval", f"--changed-since={base}"]) == 2
    assert not Path("x").exists()


def test_without_git_it_is_refused(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace / "promptfooconfig.yaml").write_text(f"{ECHO}tests: []\n")

    assert execute(["eval", "--changed-since", "HEAD"]) == 2
    assert "not a git repository" in capsys.readouterr().err
