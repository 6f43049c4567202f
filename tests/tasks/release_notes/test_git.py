from pathlib import Path

import pytest

from lockgate.errors import InvalidInput, NotFound, Unavailable
from lockgate.tasks.release_notes.git import Repository
from tasks.release_notes.repos import Repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "one")
    made.commit("first")
    return made.build()


@pytest.mark.parametrize("name", [".", "missing", "file"])
def test_a_place_without_a_repository_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(NotFound, match="is not a git repository") as caught:
        Repository(tmp_path / name).read(("rev-parse", "HEAD"))
    assert "--repo" in (caught.value.hint or "")


def test_the_environment_of_a_git_hook_does_not_choose_the_repository(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repo(tmp_path / "two")
    other.commit("another")
    other.build()
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))

    assert Repository(repo.path).read(("rev-parse", "HEAD")).strip() == repo.sha(1)


def test_the_configuration_of_a_repository_runs_no_program(repo: Repo, tmp_path: Path) -> None:
    trap, mark = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch {mark}\n")
    trap.chmod(0o755)
    for key in ("core.pager", "core.fsmonitor", "gpg.program", "diff.external", "diff.x.textconv"):
        repo.git("config", key, str(trap))
    repo.git("config", "log.showSignature", "true")
    (repo.path / ".git" / "info" / "attributes").write_text("* diff=x\n")

    with Repository(repo.path).stream(("log", "-p", "--no-ext-diff", "--no-textconv")) as out:
        assert b"first" in out.read()
    assert not mark.exists()


def test_a_replaced_commit_is_read_as_it_was(repo: Repo) -> None:
    fake = repo.git("commit-tree", "-m", "forged", "HEAD^{tree}") if _identity(repo) else ""
    repo.git("replace", repo.sha(1), fake)

    assert repo.git("log", "--format=%s") == "forged"
    assert Repository(repo.path).read(("log", "--format=%s")).strip() == "first"


def _identity(repo: Repo) -> bool:
    repo.git("config", "user.name", "Ann")
    repo.git("config", "user.email", "ann@example.org")
    return True


def test_a_missing_git_is_said_to_be_missing(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "env").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(Unavailable, match="`git` is not installed"):
        Repository(repo.path).read(("version",))


def test_a_broken_repository_is_an_error_with_gits_words(repo: Repo) -> None:
    (repo.path / ".git" / "refs" / "heads" / "main").write_text("0" * 40 + "\n")
    with (
        pytest.raises(InvalidInput, match="git cannot read"),
        Repository(repo.path).stream(("log", "HEAD")) as out,
    ):
        out.read()


def test_a_graft_does_not_hide_history(repo: Repo) -> None:
    (repo.path / ".git" / "info" / "grafts").write_text(f"{repo.sha(1)} {'1' * 40}\n")
    assert Repository(repo.path).read(("log", "--format=%s")).strip() == "first"


def test_a_git_that_complains_at_length_does_not_hang(repo: Repo) -> None:
    missing = [f"--glob=refs/{'x' * 90}" for _ in range(20)]
    with (
        pytest.raises(InvalidInput, match="git cannot read"),
        Repository(repo.path).stream(("log", *missing, "--no-such-option")) as out,
    ):
        out.read()


def test_output_that_is_not_wanted_stops_git(repo: Repo) -> None:
    with Repository(repo.path).stream(("log", "-p")) as out:
        assert out.read(3) == b"com"
