from pathlib import Path

import pytest

from lockgate.errors import InvalidInput, NotFound
from lockgate.tasks.release_notes.git import Repository
from lockgate.tasks.release_notes.ranges import Range, Resolver
from tasks.release_notes.repos import Repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit("one", tag="v1.0.0")
    made.commit("two")
    made.commit("three", tag="v1.1.0-rc.1")
    made.tag("v1.1.0")
    made.tag("nightly")
    made.commit("four")
    return made.build()


def resolve(repo: Repo, text: str | None, *patterns: str, paths: tuple[str, ...] = ()) -> Range:
    return Resolver(Repository(repo.path), patterns, paths).resolve(text)


def names(found: Range) -> tuple[str | None, str, str | None]:
    return (found.start.name if found.start else None, found.end.name, found.previous_tag)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1.0.0..v1.1.0", ("v1.0.0", "v1.1.0", "v1.0.0")),
        ("v1.0.0..", ("v1.0.0", "HEAD", "v1.0.0")),
        ("v1.1.0", ("v1.0.0", "v1.1.0", "v1.0.0")),
        ("HEAD~2..HEAD", ("HEAD~2", "HEAD", "v1.0.0")),
        ("v1.0.0", (None, "v1.0.0", None)),
        (None, ("v1.1.0", "HEAD", "v1.1.0")),
        ("main", ("v1.1.0", "main", "v1.1.0")),
    ],
)
def test_each_form_names_both_ends_and_the_release_before(
    repo: Repo, text: str | None, expected: tuple[str | None, str, str | None]
) -> None:
    assert names(resolve(repo, text)) == expected


def test_a_tagged_head_is_the_release_that_ends_there(repo: Repo) -> None:
    repo.git("update-ref", "refs/heads/main", repo.sha(3))
    found = resolve(repo, None)
    assert (found.start.name if found.start else None, found.end.tag) == ("v1.0.0", "v1.1.0")
    assert found.expression == "v1.0.0..HEAD"


def test_without_tags_the_range_is_the_whole_history(tmp_path: Path) -> None:
    made = Repo(tmp_path / "repo")
    made.commit("one")
    assert names(resolve(made.build(), None)) == (None, "HEAD", None)


def test_tags_that_name_no_version_are_used_when_there_are_no_others(tmp_path: Path) -> None:
    made = Repo(tmp_path / "repo")
    made.commit("one", tag="spring")
    made.commit("two")
    assert names(resolve(made.build(), None)) == ("spring", "HEAD", "spring")


def test_a_pattern_chooses_the_tags(repo: Repo) -> None:
    assert names(resolve(repo, None, "night*")) == ("nightly", "HEAD", "nightly")


def test_in_a_monorepo_the_path_chooses_the_tags(tmp_path: Path) -> None:
    made = Repo(tmp_path / "repo")
    made.commit("one", tag="api@1.0.0")
    made.commit("two", tag="v7.0.0")
    made.commit("three")
    repo = made.build()
    assert names(resolve(repo, None, paths=("packages/api",))) == ("api@1.0.0", "HEAD", "api@1.0.0")
    assert names(resolve(repo, None)) == ("v7.0.0", "HEAD", "v7.0.0")


@pytest.mark.parametrize("text", ["", " ", "..", "..v1.0.0", "v1.0.0...v1.1.0", "a..b..c"])
def test_what_is_no_range_is_refused_with_the_forms(repo: Repo, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve(repo, text)
    assert "v1..v2" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["v9", "v1.0.0..v9", "deadbeef..", "HEAD~99", "HEAD:src", "^HEAD"])
def test_an_unknown_revision_is_not_found(repo: Repo, text: str) -> None:
    with pytest.raises(NotFound, match="the revision"):
        resolve(repo, text)


@pytest.mark.parametrize("text", ["--output=stolen", "-n1..HEAD", "HEAD\nHEAD", "v1.0.0..-x"])
def test_a_revision_that_looks_like_an_option_is_refused(repo: Repo, text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a revision"):
        resolve(repo, text)
    assert not list(repo.path.parent.glob("**/stolen"))


def test_a_tag_object_that_was_moved_to_another_name_is_found_by_that_name(repo: Repo) -> None:
    repo.git("-c", "user.name=a", "-c", "user.email=b", "tag", "-a", "-m", "x", "v2.0.0", "main")
    repo.git("update-ref", "refs/tags/v3.0.0", repo.git("rev-parse", "v2.0.0"))
    repo.git("tag", "-d", "v2.0.0")
    repo.git("-c", "user.name=a", "-c", "user.email=b", "commit", "--allow-empty", "-qm", "x")
    assert names(resolve(repo, None)) == ("v3.0.0", "HEAD", "v3.0.0")


def test_a_repository_without_commits_says_so(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo").build()
    with pytest.raises(NotFound, match="has no commits"):
        resolve(repo, None)
