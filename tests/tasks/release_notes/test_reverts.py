import pytest

from lockgate.tasks.release_notes.commits import Commit
from lockgate.tasks.release_notes.reverts import cancelled
from tasks.release_notes.fakes import commit, sha


def gone(*oldest_first: Commit) -> set[int]:
    found = cancelled(list(reversed(oldest_first)), {})
    return {int(name[:8], 16) for name in found}


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ('Revert "feat: add x"', ""),
        ('Revert "feat: add x (#7)" (#8)', ""),
        ('revert: "feat: add x"', ""),
        ("revert: feat: add x", ""),
        ('fix: revert "feat: add x"', ""),
        ("chore: revert add x", ""),
        ("Revert #7", ""),
        ("Revert the addition of x", f"This reverts commit {sha(1)}."),
        ('Revert "something else"', f"This reverts commit {sha(1)[:12]}"),
        ("revert: let us never again speak of x", f"Refs: {sha(1)}"),
    ],
)
def test_a_revert_and_what_it_reverts_cancel_out(subject: str, body: str) -> None:
    base = commit(1, "feat: add x (#7)")
    # shas of the fakes share their beginning: another commit must not be hit
    assert gone(base, commit(2, "fix: y"), commit(3, subject, body)) == {1, 3}


def test_a_revert_of_what_is_outside_the_range_stays() -> None:
    assert gone(commit(1, "fix: y"), commit(2, 'Revert "feat: add x"')) == set()


def test_reverting_the_revert_brings_the_change_back() -> None:
    base, first = commit(1, "Add x"), commit(2, 'Revert "Add x"')
    assert gone(base, first, commit(3, 'Revert "Revert "Add x""')) == {2, 3}
    assert gone(base, first, commit(3, 'Reapply "Add x"')) == {2, 3}


def test_a_second_revert_takes_it_out_again() -> None:
    third, fourth = commit(3, 'Reapply "Add x"'), commit(4, 'Revert "Add x"')
    assert gone(commit(1, "Add x"), commit(2, 'Revert "Add x"'), third, fourth) == {1, 2, 3, 4}


def test_a_reverted_revert_of_an_older_change_leaves_nothing() -> None:
    assert gone(commit(1, 'Revert "Add x"'), commit(2, 'Revert "Revert "Add x""')) == {1, 2}


def test_of_two_commits_with_one_subject_the_newest_is_meant() -> None:
    assert gone(commit(1, "Update x"), commit(2, "Update x"), commit(3, 'Revert "Update x"')) == {
        2,
        3,
    }


def test_a_revert_of_several_of_which_one_is_outside_stays_itself() -> None:
    body = f"This reverts commit {sha(1)}.\nThis reverts commit {'f' * 40}."
    assert gone(commit(1, "Add x"), commit(2, "Revert two", body)) == {1}


def test_the_title_of_a_merged_request_can_be_reverted() -> None:
    merged = commit(1, "Merge pull request #5 from me/x", "Use x instead of y")
    assert gone(merged, commit(2, 'Revert "Use x instead of y"')) == {1, 2}


def test_a_revert_of_a_merge_takes_back_what_it_brought() -> None:
    commits = [
        commit(4, 'Revert "Add x"', f"This reverts commit {sha(3)}, reversing changes"),
        commit(3, "Merge branch 'x'", merge=True),
        commit(2, "part two"),
        commit(1, "part one"),
    ]
    found = cancelled(commits, {sha(3): [sha(2), sha(1)]})
    assert {int(name[:8], 16) for name in found} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    "subject", ["Revert back to the old parser", "Add a revert button", 'Quote "Add x"', "revert"]
)
def test_words_alone_revert_nothing(subject: str) -> None:
    assert gone(commit(1, "Add x"), commit(2, subject)) == set()


def test_a_revert_in_a_squash_body_reverts_nothing() -> None:
    body = f'* Remove it\n\n* Revert "Remove it"\n\nThis reverts commit {sha(1)}.'
    assert gone(commit(1, "Add x"), commit(2, "Correct the docs", body)) == set()
