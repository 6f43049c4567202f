"""The program with the real default models: what a person gets, and that it can be repeated."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from histories import SHARED, rebuild

ROOT = Path(__file__).parents[2]
DIFF = """\
diff --git a/app/run.py b/app/run.py
--- a/app/run.py
+++ b/app/run.py
@@ -1,0 +2,2 @@
+import subprocess
+subprocess.run(command, shell=True)
"""
HISTORIES = [("bandit", "1.7.0..1.7.5"), ("reviewdog", "v0.17.0..v0.18.0")]


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is absent: the histories are not part of the repository")
    folder = tmp_path_factory.mktemp("histories")
    return {name: rebuild(name, folder / name) for name, _ in HISTORIES}


@pytest.fixture
def lockgate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Program":
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(ROOT / ".venv"))  # models stay between runs
    monkeypatch.chdir(tmp_path)
    program = Program()
    program("model", "pull", "--if-missing", "smollm2", "minilm")
    return program


class Program:
    """Runs command lines and returns what they print."""

    def __call__(self, *arguments: str, stdin: str = "") -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "lockgate", *arguments],
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def json(self, *arguments: str, stdin: str = "") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(*arguments, stdin=stdin))
        return found


@pytest.mark.parametrize(("name", "span"), HISTORIES)
def test_notes_of_a_real_history_hold_every_commit_and_repeat_to_the_byte(
    name: str, span: str, lockgate: Program, repositories: dict[str, Path]
) -> None:
    repository = repositories[name]
    arguments = ["run", "release-notes", "--repo", str(repository), "--range", span]
    first = lockgate(*arguments, "--format", "json")

    assert lockgate(*arguments, "--format", "json") == first
    notes = json.loads(first)
    listed = subprocess.run(
        ["git", "-C", repository, "rev-list", span], check=True, capture_output=True, text=True
    )
    commits = set(listed.stdout.split())
    entries = {sha for part in notes["sections"] for e in part["entries"] for sha in e["commits"]}
    omitted = {sha for reason in notes["omitted"] for sha in reason["commits"]}
    assert entries | omitted == commits
    assert (notes["engine"], notes["degraded"]) == ("model", False)


def test_model_made_notes_are_replayed_byte_for_byte(
    lockgate: Program, repositories: dict[str, Path]
) -> None:
    lockgate(
        "run", "release-notes", "--repo", str(repositories["bandit"]), "--range", "1.7.4..1.7.5"
    )

    result = lockgate.json("replay", "last", "--json")

    assert (result["same"], result["engine"]) == (True, "model")


def test_a_model_made_review_is_replayed_byte_for_byte(lockgate: Program) -> None:
    review = lockgate.json("run", "review", "--format", "json", stdin=DIFF)
    assert review["findings"]

    result = lockgate.json("replay", "last", "--json")

    assert (result["same"], result["engine"]) == (True, review["engine"])


MODEL = ("--engine", "model", "--format", "json")


def test_a_recorded_run_is_played_back_with_no_models(
    lockgate: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = lockgate("run", "review", *MODEL, "--record", "tape", stdin=DIFF)
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "nothing"))

    played = lockgate("run", "review", *MODEL, "--playback", "tape", stdin=DIFF)

    assert played == recorded


def test_what_is_asked_about_drifts_though_its_words_have_the_same_length(
    lockgate: Program,
) -> None:
    subjects = {
        "may": ("the disk is full again", "a connection was refused"),
        "june": ("a connection was refused", "the disk is full again"),
        "july": ("a poem about a calm sea", "the bread must bake for long"),
    }
    for month, texts in subjects.items():
        rows = [{"input": {"text": f"{texts[at % 2]}, {at:03d}"}} for at in range(240)]
        Path(f"{month}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def verdict(month: str) -> str:
        arguments = ["--reference", "may.jsonl", "--current", f"{month}.jsonl", "--json"]
        arguments += ["--embed", "input.text"]
        done = subprocess.run(
            [sys.executable, "-m", "lockgate", "drift", "triage", *arguments],
            capture_output=True,
            check=False,
        )
        found = {one["feature"]: one for one in json.loads(done.stdout)["features"]}
        outcome: str = found["embedding"]["verdict"]["outcome"]
        return outcome

    assert (verdict("june"), verdict("july")) == ("pass", "fail")


def test_a_model_answers_a_suite_with_no_task_and_is_played_back(lockgate: Program) -> None:
    Path("promptfooconfig.yaml").write_text(
        "prompts: ['Name the capital of {{country}}. One word.']\n"
        "providers: [{id: 'lockgate:model:smollm2', config: {max_tokens: 20}}]\n"
        "tests: [{vars: {country: France}, assert: [{type: icontains, value: Paris},\n"
        "  {type: perplexity, threshold: 20}, {type: finish-reason, value: stop}]}]\n"
    )

    lockgate("eval", "--results", "a.jsonl", "--record", "kept", "-o", "a.json")
    lockgate("eval", "--results", "b.jsonl", "--playback", "kept", "-o", "b.json")

    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
