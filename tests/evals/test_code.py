"""`python` assertions: what they give, what bounds them, and that nothing runs unasked."""

import json
from pathlib import Path

import pytest

from lockgate.domain.digest import Json
from lockgate.evals.code.run import CodeRunner
from lockgate.evals.files import Files
from lockgate.evals.results import Result

from .bench import load, run


def graded(folder: Path, value: Json, *, allowed: bool = True, **members: Json) -> Result:
    test = {"vars": {"x": "abc"}, "assert": [{"type": "python", "value": value, **members}]}
    suite = load(folder, f"prompts: ['{{{{x}}}}']\nproviders: [echo]\ntests: [{json.dumps(test)}]")
    (folder / "results.jsonl").unlink(missing_ok=True)
    runner = CodeRunner(Files(folder, folder.resolve()), timeout_s=2.0) if allowed else None
    return run(suite, run_code=runner)[1][0]


@pytest.mark.parametrize(
    ("code", "outcome", "score"),
    [
        ("len(output) == 3 and 'b' in output", "passed", 1),
        ("output == context['vars']['x'] + '{{x}}'", "failed", 0),
        ("0.25", "passed", 0.25),
        (
            "x = output.upper()\nif x == 'ABC':\n    return {'pass': True, 'score': 0.5}",
            "passed",
            0.5,
        ),
        ("print('to stdout') or True", "passed", 1),
    ],
)
def test_an_expression_or_a_body_is_graded(
    tmp_path: Path, code: str, outcome: str, score: float
) -> None:
    found = graded(tmp_path, code)

    assert (found.outcome, found.score) == (outcome, score)


def test_a_file_of_the_project_is_run_with_its_function(tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text(
        "def get_assert(output, context):\n    return output == 'abc'\n\n"
        "def other(output, context):\n    return False\n"
    )

    assert graded(tmp_path, "file://check.py").outcome == "passed"
    assert graded(tmp_path, "file://check.py:other").outcome == "failed"
    assert "no Python file of this project" in graded(tmp_path, "file:///etc/hosts.py").reason


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("output +", "SyntaxError"),
        ("while True:\n    pass", "more than 2 s"),
        ("len(bytearray(4 << 30))", "MemoryError"),
        ("object()", "not JSON serializable"),
        ("__import__('os')._exit(0)", "nothing that is JSON"),
        ("'text'", "neither true, false"),
        ("float('nan')", "NaN"),
        ("__import__('os').environ['HOME']", "KeyError"),
        ("", "must have Python"),
    ],
)
def test_code_that_fails_is_an_error_of_its_case(tmp_path: Path, code: str, says: str) -> None:
    found = graded(tmp_path, code)

    assert found.fault == "case"
    assert says in found.reason


def test_no_code_runs_unless_allowed(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    found = graded(tmp_path, f"open({str(marker)!r}, 'w').close() or True", allowed=False)

    assert (found.fault, "--allow-code" in found.reason) == ("case", True)
    assert not marker.exists()
