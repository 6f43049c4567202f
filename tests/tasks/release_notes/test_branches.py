from lockgate.tasks.release_notes.branches import brought_in
from tasks.release_notes.fakes import commit, sha


def test_a_merge_brings_in_its_branch_and_not_what_was_there() -> None:
    commits = [
        commit(6, "Merge two", merge=True, parents=(sha(4), sha(5))),
        commit(5, "on two", parents=(sha(3),)),
        commit(4, "Merge one", merge=True, parents=(sha(2), sha(3))),
        commit(3, "on one", parents=(sha(1),)),
        commit(2, "on main", parents=(sha(1),)),
        commit(1, "first", parents=()),
    ]
    assert brought_in(commits) == {sha(4): [sha(3)], sha(6): [sha(5)]}


def test_merging_main_into_a_branch_brings_nothing_of_main() -> None:
    commits = [
        commit(5, "Merge branch", merge=True, parents=(sha(3), sha(4))),
        commit(4, "Merge main into branch", merge=True, parents=(sha(2), sha(3))),
        commit(3, "on main", parents=(sha(1),)),
        commit(2, "on branch", parents=(sha(1),)),
        commit(1, "first"),
    ]
    assert brought_in(commits) == {sha(5): [sha(4), sha(2)]}


def test_a_linear_history_has_no_branches() -> None:
    assert brought_in([commit(2, "b"), commit(1, "a")]) == {}
