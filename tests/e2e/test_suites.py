"""The suites of the built-in tasks, with the engines that are their defaults. Skipped, with the
reason, where the histories are absent."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.test_real_models import Program, lockgate

__all__ = ["lockgate"]  # a fixture
ROOT = Path(__file__).parents[2]
HISTORIES = ROOT / "../shared/data/histories"
LEAST = 60


def build(out: Path) -> None:
    if not HISTORIES.is_dir():
        pytest.skip("the histories of the shared data set are absent")
    subprocess.run(
        [sys.executable, ROOT / "tools" / "suites.py", HISTORIES, out],
        check=True,
        capture_output=True,
    )


def test_the_same_histories_give_the_same_suites(tmp_path: Path) -> None:
    for name in ("one", "two"):
        build(tmp_path / name)
    for suite in ("review", "release-notes"):
        lines = [(tmp_path / n / suite / "cases.jsonl").read_bytes() for n in ("one", "two")]
        assert lines[0] == lines[1]
        assert lines[0].count(b"\n") >= LEAST


@pytest.mark.parametrize("suite", ["review", "release-notes"])
def test_a_task_passes_its_gate_with_its_default_engine(
    suite: str, lockgate: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "suites")
    monkeypatch.chdir(tmp_path / "suites" / suite)

    lockgate("eval", "promptfooconfig.yaml", "-o", "results.json")  # status 0

    found = json.loads(Path("results.json").read_text("utf-8"))["results"]
    assert len(found) >= LEAST
    assert not [result for result in found if result["degraded"] or result["fault"]]


def test_a_gate_fails_when_the_task_gets_worse(
    lockgate: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "suites")
    folder = tmp_path / "suites" / "release-notes"
    cases = [json.loads(line) for line in (folder / "cases.jsonl").read_text("utf-8").splitlines()]
    for case in cases:
        for commit in case["vars"]["commits"]:
            commit["subject"] = "update"
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases), "utf-8")
    monkeypatch.chdir(folder)
    program = shutil.which("lockgate", path=str(Path(sys.executable).parent))
    assert program is not None

    done = subprocess.run(
        [program, "eval", "promptfooconfig.yaml", "--engine", "rules"],
        capture_output=True,
        check=False,
    )

    assert done.returncode == 100, done.stderr.decode()
