from collections.abc import Sequence

import pytest

from lockgate.tasks.release_notes.changes import Drawn, draw
from lockgate.tasks.release_notes.commits import Commit, Pull
from lockgate.tasks.release_notes.pull_index import PullIndex
from tasks.release_notes.fakes import FakeRetriever, commit, sha


def drawn(commits: Sequence[Commit], pulls: Sequence[Pull] = (), *, bots: bool = False) -> Drawn:
    find = PullIndex(pulls, FakeRetriever()).find
    return draw(commits, pulls, find=find, include_bots=bots)


def test_a_conventional_commit_says_its_own_type() -> None:
    (change,) = drawn([commit(1, "fix(api)!: stop it. (#7)", "BREAKING CHANGE: use y")]).changes
    assert (change.text, change.type, change.scope) == ("Stop it", "fix", "api")
    assert (change.breaking, change.notes, change.pulls) == (True, ("use y",), (7,))
    assert change.by == "conventional"


@pytest.mark.parametrize(
    ("subject", "text", "scope"),
    [
        ("cmd/parser: stop it", "Stop it", "cmd/parser"),
        ("parser: stop it", "Stop it", "parser"),
        ("Stop it: now", "Stop it: now", None),
        ("[B605] Stop it", "[B605] Stop it", None),
    ],
)
def test_a_place_before_a_colon_is_a_scope(subject: str, text: str, scope: str | None) -> None:
    (change,) = drawn([commit(1, subject)]).changes
    assert (change.text, change.scope, change.type) == (text, scope, None)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (commit(1, "Merge branch 'x'", merge=True), "merge"),
        (commit(1, "Merge branch 'main' of host:repo"), "merge"),
        (commit(1, "Bump x", bot=True), "bot"),
        (commit(1, "Merge pull request #5 from org/renovate/x", "Update x"), "bot"),
        (commit(1, "chore(release): v1.2.3"), "release"),
        (commit(1, "Merge pull request #5 from org/rel", "Release v1.2.3"), "release"),
    ],
)
def test_what_is_left_out_is_counted_with_its_reason(made: Commit, reason: str) -> None:
    found = drawn([made])
    assert (found.changes, found.omitted) == ((), {reason: (sha(1),)})


def test_bots_stay_if_asked_for() -> None:
    assert len(drawn([commit(1, "Bump x", bot=True)], bots=True).changes) == 1


def test_a_breaking_change_of_a_bot_is_never_left_out() -> None:
    found = drawn([commit(1, "fix(deps)!: drop node 18", bot=True)])
    assert [c.breaking for c in found.changes] == [True]


def test_a_merged_request_speaks_by_its_title() -> None:
    made = commit(1, "Merge pull request #5 from me/branch", "feat(x): add y\n\nMore.")
    (change,) = drawn([made]).changes
    assert (change.text, change.type, change.scope, change.pulls) == ("Add y", "feat", "x", (5,))


def test_a_merged_request_without_a_title_speaks_by_its_branch() -> None:
    (change,) = drawn([commit(1, "Merge pull request #5 from me/fix-the_thing")]).changes
    assert (change.text, change.pulls) == ("Fix the thing", (5,))


def test_the_commits_of_a_merge_carry_its_number_and_title() -> None:
    commits = [
        commit(4, "Merge pull request #5 from me/x", "Add x", merge=True, parents=(sha(1), sha(3))),
        commit(3, "fix: y", parents=(sha(2),)),
        commit(2, "wip", parents=(sha(1),)),
        commit(1, "before", parents=()),
    ]
    found = drawn(commits)
    assert [(c.text, c.pulls) for c in found.changes] == [
        ("Y", (5,)),
        ("Add x", (5,)),
        ("Before", ()),
    ]
    assert found.changes[1].also == ("Wip",)


def test_a_squash_becomes_its_parts_and_all_cite_it() -> None:
    body = "* feat: add x\n* fix: stop y\n* test: cover x\n* feat: add x to the list"
    found = drawn([commit(1, "feat: add x (#9)", body)]).changes
    assert [(c.text, c.type) for c in found] == [("Add x", "feat"), ("Stop y", "fix")]
    assert found[0].also == ("test: cover x",)
    assert {c.commits for c in found} == {(sha(1),)}
    assert {c.pulls for c in found} == {(9,)}


def test_a_fixup_speaks_of_what_it_fixes() -> None:
    (change,) = drawn([commit(1, "fixup! squash! Add x")]).changes
    assert change.text == "Add x"


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (("bug",), "fix"),
        (("type: enhancement",), "feat"),
        (("kind/documentation",), "docs"),
        (("good first issue", "C-bug"), "fix"),
        (("dependencies",), "deps"),
        (("question",), None),
    ],
)
def test_labels_of_the_request_give_a_type(labels: tuple[str, ...], kind: str | None) -> None:
    (change,) = drawn([commit(1, "Do it (#7)")], [Pull(number=7, labels=labels)]).changes
    assert change.type == kind


def test_what_the_commit_says_comes_before_labels() -> None:
    pull = Pull(number=7, labels=("bug", "breaking change"))
    (change,) = drawn([commit(1, "feat: do it (#7)")], [pull]).changes
    assert (change.type, change.breaking) == ("feat", True)


def test_the_conventional_title_of_the_request_gives_type_and_words() -> None:
    (change,) = drawn([commit(1, "Do it (#7)")], [Pull(number=7, title="fix(a): stop it")]).changes
    assert (change.type, change.text, change.scope) == ("fix", "Stop it", "a")


def test_a_request_is_found_by_the_commit_that_merged_it() -> None:
    pull = Pull(number=7, commit=sha(1), labels=("bug",))
    (change,) = drawn([commit(1, "Do it")], [pull]).changes
    assert (change.pulls, change.type) == ((7,), "fix")


def test_a_request_of_a_bot_is_a_bots_commit() -> None:
    found = drawn([commit(1, "Update x")], [Pull(number=7, commit=sha(1), bot=True)])
    assert found.omitted == {"bot": (sha(1),)}


def test_a_request_is_found_by_its_title_only_if_that_says_the_same() -> None:
    pulls = [
        Pull(number=7, title="Speed up the parser", labels=("performance",)),
        Pull(number=8, title="Speed up everything else there is", labels=("bug",)),
    ]
    same, other = drawn([commit(2, "Speed up parser"), commit(1, "Speed is good")], pulls).changes
    assert (same.pulls, same.type) == ((7,), "perf")
    assert other.pulls == ()


def test_a_subject_of_nothing_is_still_a_change() -> None:
    found = drawn([commit(1, ""), commit(2, "..."), commit(3, "(#7)"), commit(4, "fix: (#8)")])
    assert len(found.changes) == 4
    assert all(change.text for change in found.changes)
