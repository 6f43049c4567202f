"""The plugin of pytest: suites in Python are collected, run and reported case by case."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """
def has_no_digit(output, context):
    assert not any(c.isdigit() for c in output), f"a digit in {output}"
    return True

def suite():
    return {
        "prompts": ["say {{x}}"],
        "providers": ["echo"],
        "defaultTest": {"assert": [{"type": "python", "value": has_no_digit}]},
        "tests": [
            {"description": "a word", "vars": {"x": "word"}},
            {"description": "a digit", "vars": {"x": "7"}},
            {"description": "short", "vars": {"x": "b"},
             "assert": [{"type": "javascript", "value": "output.length < 3"}]},
        ],
    }
"""


def run(folder: Path, suite: str, *arguments: str) -> tuple[int, str]:
    (folder / "suite.eval.py").write_text(suite)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-p", "lockgate.cli.pytest_plugin", "--rootdir", str(folder), *arguments),
        ],
        cwd=folder,
        env={
            **os.environ,
            "LOCKGATE_STATE_DIR": str(folder / "s"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_each_case_of_a_suite_is_a_test(tmp_path: Path) -> None:
    code, said = run(tmp_path, SUITE)

    assert code == 1, said
    assert "2 failed, 1 passed" in said
    assert "a digit in say 7" in said
    assert "does not hold" in said
    assert "Traceback" not in said


def test_one_case_can_be_chosen(tmp_path: Path) -> None:
    code, said = run(tmp_path, SUITE, "-k", "word")

    assert code == 0, said
    assert "1 passed, 2 deselected" in said


@pytest.mark.parametrize(
    ("suite", "says"),
    [
        ("x = 1", "has no function `suite`"),
        ("def suite(): return 5", "no object as its suite"),
        ("def suite(): return {'prompts': ['x'], 'tests': [{'assert': [{'type': 'equal'}]}]}",
         "did you mean `equals`?"),
    ],
)  # fmt: skip
def test_a_suite_that_is_none_is_told_at_collection(tmp_path: Path, suite: str, says: str) -> None:
    code, said = run(tmp_path, suite)

    assert code == 2, said
    assert says in said
