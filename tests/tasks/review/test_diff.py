import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.errors import InvalidInput
from lockgate.tasks.review.diff import parse

HEADER = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n"
PIECES = [
    "diff --git a/x b/x",
    'diff --git "a/\\303\\251" "b/\\303\\251"',
    "diff --cc x",
    "--- a/x",
    "+++ b/x",
    "--- /dev/null",
    "+++ /dev/null",
    "@@ -1 +1 @@",
    "@@ -0,0 +1,999999999999999999 @@",
    "@@@ -1,2 -1,2 +1,3 @@@",
    "+added",
    "-removed",
    " context",
    "\\ No newline at end of file",
    "Binary files a/x and b/x differ",
    "GIT binary patch",
    "rename from x",
    "rename to y",
    "old mode 100644",
    "-- ",
    "",
    "\r",
    '"',
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=30)), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_diff_or_invalid_input(lines: list[str]) -> None:
    try:
        files = parse("\n".join(lines))
    except InvalidInput:
        return
    for file in files:
        assert all(line.number >= 1 for line in (*file.added, *file.removed))


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True
    )
    return done.stdout.decode("utf-8", "replace")


def repository(folder: Path) -> Path:
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "core.autocrlf", "false")
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")


CONTENTS = st.lists(
    st.sampled_from(["a", "b", "-- x", "++ y", "@@ -1 +1 @@", "", "diff --git a/q b/q", "c\r"]),
    max_size=12,
)


@given(old=CONTENTS, new=CONTENTS, ends=st.booleans(), context=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_the_numbers_of_added_lines_are_those_of_the_new_file(
    tmp_path_factory: pytest.TempPathFactory,
    old: list[str],
    new: list[str],
    *,
    ends: bool,
    context: int,
) -> None:
    folder = tmp_path_factory.mktemp("r")
    last = "\n" if ends else ""
    (folder / "old").write_bytes(("\n".join(old) + last).encode())
    (folder / "new").write_bytes(("\n".join(new) + last).encode())
    done = subprocess.run(
        ["git", "diff", "--no-index", f"--unified={context}", "old", "new"],
        cwd=folder,
        check=False,
        capture_output=True,
    )

    files = parse(done.stdout.decode())

    lines = [line.removesuffix("\r") for line in "\n".join(new).split("\n")]
    assert [file.cut_short for file in files] == [False] * len(files)
    for file in files:
        for line in file.added:
            assert lines[line.number - 1] == line.text
        assert len(file.added) - len(file.removed) == _length(new, ends) - _length(old, ends)


def _length(lines: list[str], ends: bool) -> int:  # noqa: FBT001
    text = "\n".join(lines) + ("\n" if ends else "")
    return text.count("\n") + (not text.endswith("\n") and text != "")


def test_git_shows_added_deleted_renamed_binary_and_unusual_names(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    (folder / "keep.py").write_text("".join(f"{n}\n" for n in range(40)))
    (folder / "gone name.py").write_text("x = 1\n")
    (folder / "logo.png").write_bytes(bytes(range(256)))
    (folder / "run.sh").write_text("true\n")
    commit(folder)
    (folder / "keep.py").rename(folder / "kept later.py")
    (folder / "gone name.py").unlink()
    (folder / "logo.png").write_bytes(bytes(reversed(range(256))))
    (folder / "run.sh").chmod(0o755)
    (folder / 'é "quoted"\t.py').write_text("y = 2\n")
    (folder / "empty").touch()
    git(folder, "add", "-A")

    files = {f.path: f for f in parse(git(folder, "diff", "--cached", "-M", "--unified=0"))}

    assert files["kept later.py"].status == "renamed"
    assert files["kept later.py"].old_path == "keep.py"
    assert files["gone name.py"].status == "deleted"
    assert files["logo.png"].binary
    assert files["run.sh"].mode_changed
    assert files['é "quoted"\N{REPLACEMENT CHARACTER}.py'].status == "added"
    assert files["empty"].status == "added"
    assert len(files) == 6


@pytest.mark.parametrize("option", ["--no-prefix", "--src-prefix=i/", "--unified=0", "--binary"])
def test_paths_are_right_with_each_prefix(tmp_path: Path, option: str) -> None:
    folder = repository(tmp_path)
    (folder / "a").mkdir()
    (folder / "a" / "b.py").write_text("x = 1\n")
    commit(folder)
    (folder / "a" / "b.py").write_text("x = 2\n")

    (file,) = parse(git(folder, "diff", option))

    assert file.path == "a/b.py"


def test_a_merge_is_read_from_its_combined_diff(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    (folder / "a.py").write_text("one\n")
    commit(folder)
    git(folder, "checkout", "-q", "-b", "other")
    (folder / "a.py").write_text("two\n")
    commit(folder)
    git(folder, "checkout", "-q", "main")
    (folder / "a.py").write_text("three\n")
    commit(folder)
    subprocess.run(["git", "merge", "-q", "other"], cwd=folder, check=False, capture_output=True)
    (folder / "a.py").write_text("first\neval(x)\n")
    commit(folder)

    (file,) = parse(git(folder, "show", "--cc", "HEAD"))

    assert file.path == "a.py"
    assert [(line.number, line.text) for line in file.added] == [(1, "first"), (2, "eval(x)")]


def test_the_text_of_a_mail_before_and_after_the_diff_is_passed_over(tmp_path: Path) -> None:
    folder = repository(tmp_path)
    commit(folder)
    (folder / "a.py").write_text("x = 1\n")
    commit(folder)

    (file,) = parse(git(folder, "format-patch", "-1", "--stdout"))

    assert [line.text for line in file.added] == ["x = 1"]
    assert file.removed == ()


def test_an_empty_diff_and_a_commit_without_changes_have_no_files() -> None:
    assert parse("") == ()
    assert parse("\n \n") == ()
    assert parse("commit 0123456\nAuthor: a\n\n    +1 for that\n") == ()


@pytest.mark.parametrize("text", ["hello", "{}", "+ a list\n- of things", "\x00\x01", "--- a\n"])
def test_what_is_no_diff_is_refused_with_its_first_line(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a diff") as caught:
        parse(text)

    assert caught.value.hint is not None
    assert "git diff --unified=0 main..." in caught.value.hint


def test_a_coloured_diff_is_refused_with_the_option_that_helps() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse("\x1b[1mdiff --git a/a.py b/a.py\x1b[m\n")

    assert caught.value.hint is not None
    assert "--no-color" in caught.value.hint


def test_carriage_returns_are_part_of_the_ending() -> None:
    text = (HEADER + "@@ -1 +1,2 @@\n-a\n+b\n+eval(c)\n").replace("\n", "\r\n")

    (file,) = parse(text)

    assert (file.path, [line.text for line in file.added]) == ("a.py", ["b", "eval(c)"])


def test_characters_that_other_splitters_take_for_ends_of_lines_do_not_move_numbers() -> None:
    (file,) = parse(HEADER + "@@ -0,0 +1,2 @@\n+a\x0c\u2028b\x85\n+c\n")

    assert [line.number for line in file.added] == [1, 2]


def test_a_hunk_that_lies_about_its_length_is_read_to_its_end_and_reported() -> None:
    text = (
        HEADER + "@@ -0,0 +1,999999999 @@\n+a\ndiff --git a/b.py b/b.py\n--- a/b.py\n+++ b/b.py\n"
    )

    first, second = parse(text + "@@ -0,0 +1 @@\n+b\n+more\n")

    assert first.cut_short
    assert [line.text for line in first.added] == ["a"]
    assert not second.cut_short
    assert [line.text for line in second.added] == ["b", "more"]


def test_a_secret_of_several_lines_does_not_move_what_follows() -> None:
    (file,) = parse(HEADER + "@@ -0,0 +1,5 @@\n+a\n+<secret:private-key:1>\n+z\n")

    assert [line.number for line in file.added] == [1, 2, 5]
    assert not file.cut_short


def test_a_removed_secret_of_several_lines_cuts_nothing_short_unless_nothing_follows() -> None:
    text = HEADER + "@@ -1,5 +0,0 @@\n-a\n-<secret:private-key:1>\n"

    (ended,) = parse(text)
    followed, _ = parse(text + HEADER + "@@ -1 +1 @@\n-a\n+b\n")

    assert ended.cut_short
    assert not followed.cut_short


def test_a_plain_diff_of_two_files_is_read() -> None:
    text = (
        "--- old/a.c\t2026-01-01 00:00:00\n+++ new/a.c\t2026-01-02 00:00:00\n"
        "@@ -1 +1 @@\n--- x\n+++ y\n--- b.c\n+++ b.c\n@@ -3 +3 @@\n-p\n+q\n"
    )

    first, second = parse(text)

    assert [line.text for line in first.removed] == ["-- x"]
    assert [line.text for line in first.added] == ["++ y"]
    assert second.path == "b.c"
    assert second.added[0].number == 3
