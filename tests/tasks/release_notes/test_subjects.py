import pytest

from lockgate.tasks.release_notes import subjects
from tasks.release_notes.fakes import commit


@pytest.mark.parametrize(
    ("subject", "text", "numbers"),
    [
        ("Add x (#12)", "Add x", (12,)),
        ("Fix x (#12) (#15)", "Fix x", (15, 12)),
        ("Fix x (!7) [skip ci]", "Fix x", (7,)),
        ("Fix x (GH-7)", "Fix x", (7,)),
        ("Fix #12", "Fix #12", ()),
        ("Fix (maybe) x", "Fix (maybe) x", ()),
        ("Add x (closes #3)", "Add x", (3,)),
    ],
)
def test_pull_request_numbers_come_off_the_end(
    subject: str, text: str, numbers: tuple[int, ...]
) -> None:
    assert subjects.without_numbers(subject) == (text, numbers)


@pytest.mark.parametrize(
    ("subject", "body", "title", "number"),
    [
        ("Merge pull request #5 from me/x", "Add x\n\nmore", "Add x", 5),
        ("Merge pull request #5 from me/x", "", "", 5),
        ("Merge branch 'x' into 'main'", "Add x\n\nSee merge request a/b!7", "Add x", 7),
        ("Merged in x (pull request #9)", "Add x", "Add x", 9),
        ("Merged PR 11: Add x", "", "Add x", 11),
        ('Merge "Add x" into stable', "", "Add x", None),
        ("Merge commit from fork", "Close the hole", "Close the hole", None),
        ("Merge branch 'main' of host:repo", "", "", None),
        ("Merge remote-tracking branch 'origin/main'", "", "", None),
    ],
)
def test_the_messages_of_merges_are_understood(
    subject: str, body: str, title: str, number: int | None
) -> None:
    found = subjects.merge(commit(1, subject, body))
    assert found is not None
    assert (found.title, found.number) == (title, number)


@pytest.mark.parametrize("subject", ["Merge two maps into one", "Add x", "merge pull request"])
def test_other_messages_are_no_merges(subject: str) -> None:
    assert subjects.merge(commit(1, subject)) is None


@pytest.mark.parametrize(
    "subject",
    [
        "chore(release): v1.2.3", "release: v5.2.10", "Release 1.2", "v1.2.3", "1.2.3-rc.1",
        "bump: version 4.16.5 → 4.17.0", "Bump version to 1.2.3", "chore: prepare release 2.0.0",
        "Update CHANGELOG.md for releasing v0.14.2", "Bump up version to 0.9.7 (#3)",
    ],
)  # fmt: skip
def test_commits_that_only_release_are_known(subject: str) -> None:
    assert subjects.is_release(subject)


@pytest.mark.parametrize(
    "subject",
    [
        "Bump lodash from 4.17.20 to 4.17.21", "Add support for Python 3.9", "Update to Go 1.20",
        "Fix release notes of v1.2", "feat: release the lock", "Bump Go 1.19",
        "Add 1.7.4 in issue template", "chore: release",
    ],
)  # fmt: skip
def test_commits_that_do_more_than_release_are_not(subject: str) -> None:
    assert not subjects.is_release(subject)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("add x.", "Add x"),
        ("`x` is gone", "`x` is gone"),
        ("weak_key assumes", "weak_key assumes"),
        ("iOS works", "iOS works"),
        ("wait for it...", "Wait for it..."),
        ("émile", "Émile"),
        ("Add x:", "Add x"),
    ],
)
def test_a_line_begins_with_a_capital_unless_it_is_code(text: str, line: str) -> None:
    assert subjects.polish(text) == line


def test_a_branch_name_makes_a_title() -> None:
    assert subjects.branch_title("fix/some_thing-else") == "some thing else"


def test_a_text_that_is_no_line_is_cut() -> None:
    cut = subjects.polish("word " * 400)
    assert (len(cut), cut[:9], cut[-1]) == (subjects.MAX_TEXT, "Word word", "…")
    assert subjects.polish("x" * subjects.MAX_TEXT) == "X" + "x" * (subjects.MAX_TEXT - 1)
