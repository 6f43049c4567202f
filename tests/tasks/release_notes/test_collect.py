import json
import subprocess
from pathlib import Path

import jsonschema_rs
import pytest

from lockgate.domain.digest import JsonObject, canonical
from lockgate.errors import InvalidInput, NotFound
from lockgate.tasks.release_notes import commits, schema
from lockgate.tasks.release_notes.collect import collect
from tasks.release_notes.repos import Repo


def subjects(given: JsonObject) -> list[object]:
    return [row["subject"] for row in commits.rows(given, "commits")]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit("feat: one", files={"a/x.py": "1"}, tag="v1.0.0")
    made.commit("fix: two", files={"b/y.py": "1"})
    made.commit("Bump z", files={"b/z.lock": "1"}, author="dependabot[bot] <d@e.f>")
    return made.build()


def test_the_input_is_complete_valid_and_canonical(repo: Repo) -> None:
    repo.git("remote", "add", "origin", "https://me:secret@github.com/org/name.git")
    given = collect({"repo": str(repo.path), "version": "2.0"})

    jsonschema_rs.Draft202012Validator(dict(schema.INPUT)).validate(given)
    assert canonical(given)
    assert given["repository"] == {
        "name": "name",
        "url": "https://github.com/org/name",
        "forge": "github",
    }
    assert subjects(given) == ["Bump z", "fix: two"]
    assert [row.get("bot", False) for row in commits.rows(given, "commits")] == [True, False]
    assert (given["version"], given["include_bots"]) == ("2.0", False)
    assert "secret" not in str(given)


def test_names_and_addresses_of_people_do_not_enter_the_input(repo: Repo) -> None:
    assert "example.org" not in str(collect({"repo": str(repo.path)}))


def test_a_folder_inside_the_repository_will_do(repo: Repo) -> None:
    (repo.path / "deep").mkdir()
    assert subjects(collect({"repo": str(repo.path / "deep")})) == ["Bump z", "fix: two"]


def test_a_bare_repository_will_do(repo: Repo, tmp_path: Path) -> None:
    repo.git("clone", "-q", "--bare", str(repo.path), str(tmp_path / "copy.git"))
    given = collect({"repo": str(tmp_path / "copy.git")})
    assert len(subjects(given)) == 2


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a"], ["feat: one"]),
        (["/b/"], ["Bump z", "fix: two"]),
        (["b/*.lock"], ["Bump z"]),
        (["a", "b/y.py"], ["fix: two", "feat: one"]),
    ],
)
def test_a_path_keeps_only_the_commits_that_touch_it(
    repo: Repo, paths: list[str], expected: list[str]
) -> None:
    (repo.path / "a").mkdir(exist_ok=True)
    given = collect(
        {"repo": str(repo.path / "a"), "range": "main", "path": paths, "tag-pattern": ["no*"]}
    )
    assert subjects(given) == expected


@pytest.mark.parametrize("path", ["", "/", "a\x00b", "\x1b"])
def test_an_empty_or_strange_path_is_refused(repo: Repo, path: str) -> None:
    with pytest.raises(InvalidInput, match="--path"):
        collect({"repo": str(repo.path), "path": [path]})


def test_a_path_is_no_pathspec_magic(repo: Repo) -> None:
    with pytest.raises(InvalidInput, match="has no commits that touch `:!a`"):
        collect({"repo": str(repo.path), "path": [":!a"]})


def test_an_empty_range_is_an_error_that_says_so(repo: Repo) -> None:
    with pytest.raises(InvalidInput, match=r"`HEAD\.\.HEAD` has no commits"):
        collect({"repo": str(repo.path), "range": "HEAD..HEAD"})


def test_a_reversed_range_is_recognised(repo: Repo) -> None:
    with pytest.raises(InvalidInput, match=r"`v1\.0\.0` is older than `main`") as caught:
        collect({"repo": str(repo.path), "range": "main..v1.0.0"})
    assert caught.value.hint == "turn it round: `--range v1.0.0..main`"


def test_a_missing_repository_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not a git repository"):
        collect({"repo": str(tmp_path)})


def test_a_shallow_clone_that_cuts_the_range_is_refused(repo: Repo, tmp_path: Path) -> None:
    clone = tmp_path / "shallow"
    repo.git("clone", "-q", "--depth=2", f"file://{repo.path}", str(clone))
    with pytest.raises(InvalidInput, match="the clone is shallow") as caught:
        collect({"repo": str(clone)})
    assert "--unshallow" in (caught.value.hint or "")
    with pytest.raises(NotFound, match=r"`v0\.9` is unknown") as unknown:
        collect({"repo": str(clone), "range": "v0.9.."})
    assert "--unshallow" in (unknown.value.hint or "")


def test_a_shallow_clone_that_holds_the_range_will_do(repo: Repo, tmp_path: Path) -> None:
    clone = tmp_path / "shallow"
    repo.git("clone", "-q", "--depth=2", f"file://{repo.path}", str(clone))
    assert subjects(collect({"repo": str(clone), "range": "HEAD~1.."})) == ["Bump z"]


def test_a_range_beyond_the_limit_is_refused(repo: Repo) -> None:
    with pytest.raises(InvalidInput, match="more than 1 commits"):
        collect({"repo": str(repo.path), "max-commits": 1})
    assert len(subjects(collect({"repo": str(repo.path), "max-commits": 2}))) == 2
    with pytest.raises(InvalidInput, match="`0` is no number"):
        collect({"repo": str(repo.path), "max-commits": 0})


def test_the_settings_of_a_user_change_nothing(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = canonical(collect({"repo": str(repo.path)}))
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[log]\n\tshowSignature = true\n\tfollow = true\n\tdate = relative\n\tmailmap = true\n"
        "[diff]\n\trenames = false\n\tnoprefix = true\n[core]\n\tquotePath = true\n"
        "[color]\n\tui = always\n[i18n]\n\tlogOutputEncoding = ISO-8859-1\n[pager]\n\tlog = true\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert canonical(collect({"repo": str(repo.path)})) == expected


def test_earlier_commits_are_counted_by_folder_when_something_needs_a_type(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r")
    for n in range(8):
        repo.commit(f"docs: page {n}", files={f"site/{n}.txt": "1"})
    repo.tag("v1.0.0")
    repo.commit("A new page", files={"site/new.txt": "1"})
    given = collect({"repo": str(repo.build().path)})
    assert given["earlier"] == {"site": {"docs": 8}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("{}", "holds no list"),
        ("[1]", "item 0 is not an object"),
        ('[{"title": "x"}]', "item 0 has no `number`"),
        ('[{"number": true}]', "has no `number`"),
        ('[{"number": 1, "title": 5}]', "`title` is not a str"),
        ("[" * 100_000, "is not JSON"),
        ("\xff", "is not JSON"),
    ],
)
def test_a_file_that_is_no_list_of_pull_requests_is_refused(
    repo: Repo, tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "prs.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match=problem) as caught:
        collect({"repo": str(repo.path), "prs": str(file)})
    assert "gh pr list" in (caught.value.hint or "")


def test_a_missing_file_of_pull_requests_is_not_found(repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cannot read"):
        collect({"repo": str(repo.path), "prs": str(tmp_path / "none")})


def test_pull_requests_are_kept_as_gh_writes_them(repo: Repo, tmp_path: Path) -> None:
    file = tmp_path / "prs.json"
    pull = {
        "number": 7, "title": "Add x", "body": "Why\r\n", "labels": [{"name": "bug", "id": "L"}],
        "author": {"login": "renovate", "is_bot": True}, "mergeCommit": {"oid": repo.sha(2)},
        "mergedAt": "2024-01-01T00:00:00Z", "state": "MERGED",
    }  # fmt: skip
    file.write_text(json.dumps([pull, {"number": 3, "title": None, "mergeCommit": None}]))
    given = collect({"repo": str(repo.path), "prs": str(file)})

    jsonschema_rs.Draft202012Validator(dict(schema.INPUT)).validate(given)
    assert given["pull_requests"] == [
        {"number": 3},
        {
            "number": 7,
            "title": "Add x",
            "body": "Why",
            "labels": ["bug"],
            "bot": True,
            "commit": repo.sha(2),
        },
    ]


def test_a_repository_of_another_user_is_an_error_that_says_so(repo: Repo) -> None:
    if subprocess.run(["id", "-u"], capture_output=True, check=True).stdout.strip() != b"0":
        pytest.skip("only root can give a file to another user")
    subprocess.run(["chown", "-R", "12345", repo.path], check=True)
    with pytest.raises(InvalidInput, match="does not trust") as caught:
        collect({"repo": str(repo.path)})
    assert "safe.directory" in (caught.value.hint or "")
