from lockgate.tasks.release_notes.duplicates import fold
from tasks.release_notes.fakes import change, sha


def test_the_same_subject_twice_is_one_change_that_cites_both() -> None:
    (one,) = fold([change("Update config", 2), change("update config", 1)])
    assert one.commits == (sha(1), sha(2))


def test_the_same_words_of_another_type_or_scope_stay_apart() -> None:
    changes = [
        change("Update config", 1, type="fix"),
        change("Update config", 2, type="docs"),
        change("Update config", 3, type="fix", scope="api"),
    ]
    assert len(fold(changes)) == 3


def test_commits_of_one_request_are_one_change_in_the_words_of_the_oldest() -> None:
    (one,) = fold([change("Address review", 2, pulls=(7,)), change("Add x", 1, pulls=(7,))])
    assert (one.text, one.also, one.pulls) == ("Add x", ("Address review",), (7,))


def test_a_backport_is_the_change_that_it_brings_back() -> None:
    (one,) = fold([change("Fix x", 2, pulls=(15, 12)), change("Fix x", 1, pulls=(12,))])
    assert one.pulls == (12, 15)


def test_conventional_commits_of_one_request_stay_apart_by_type() -> None:
    changes = [
        change("Add x", 2, pulls=(7,), type="feat", by="conventional"),
        change("Stop y", 1, pulls=(7,), type="fix", by="conventional"),
    ]
    assert fold(changes) == tuple(changes)


def test_a_revert_is_never_a_duplicate() -> None:
    changes = [change("Revert add x", 2, pulls=(7,)), change("Add x", 1, pulls=(7,))]
    assert len(fold(changes)) == 2


def test_typed_commits_of_a_branch_stay_and_untyped_ones_are_one() -> None:
    changes = [
        change("Add b", 4, pulls=(7,), branch=True, type="feat"),
        change("Wip", 3, pulls=(7,), branch=True),
        change("Add a", 2, pulls=(7,), branch=True, type="feat"),
        change("Begin", 1, pulls=(7,), branch=True),
    ]
    assert [c.text for c in fold(changes)] == ["Add b", "Add a", "Begin"]


def test_a_breaking_duplicate_keeps_the_change_breaking() -> None:
    changes = [change("Drop x", 2, breaking=True, notes=("use y",)), change("Drop x", 1)]
    (one,) = fold(changes)
    assert (one.breaking, one.notes) == (True, ("use y",))
