import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.tasks.release_notes import features
from lockgate.tasks.release_notes.path_rules import classify, role

CASES = [
    ("Fix a crash when the cache is empty", "src/cache.py", "fix"),
    ("Fixes the login form", "web/login.ts", "fix"),
    ("Add support for Python 3.13", "src/a.py", "feat"),
    ("Correct a typo in the guide", "docs/guide.md", "docs"),
    ("Add tests for the parser", "tests/test_parser.py", "test"),
    ("Run the workflow on Arm", ".github/workflows/ci.yml", "ci"),
    ("Bump requests from 2.1 to 2.2", "requirements.txt", "build"),
    ("Refactor the tokenizer", "src/tokenizer.py", "refactor"),
    ('Revert "Add a cache"', "src/cache.py", "revert"),
]


@pytest.mark.parametrize(("subject", "path", "expected"), CASES)
def test_plain_commits_get_their_types(subject: str, path: str, expected: str) -> None:
    assert classify(subject, [("M", path)]).type in {expected, *_also(expected)}


def _also(name: str) -> set[str]:
    return {"build": {"chore"}, "revert": {"fix", "chore"}}.get(name, set())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".github/workflows/ci.yml", "ci"),
        ("src/app_test.go", "test"),
        ("CHANGELOG.md", "log"),
        ("package.json", "build"),
        ("docs/index.md", "docs"),
        ("examples/app.js", "example"),
        ("logo.png", "asset"),
        ("src/main.rs", "source"),
        (".editorconfig", "meta"),
    ],
)
def test_a_path_says_what_a_file_is_for(path: str, expected: str) -> None:
    assert role(path) == expected


@given(st.text(), st.lists(st.tuples(st.sampled_from("AMDR"), st.text())))
def test_any_commit_is_judged_without_an_error(subject: str, files: list[tuple[str, str]]) -> None:
    guess = classify(subject, files)

    assert 0 <= guess.confidence <= 1
    assert features.row(subject, files) == features.row(subject, files)


def test_features_do_without_line_counts_and_use_them_where_known() -> None:
    files = [("M", "src/a.py")]
    bare = features.row("Fix it", files)
    counted = features.row("Fix it", files, counts=[(10, 2)])

    assert set(bare.tokens) < set(counted.tokens)
