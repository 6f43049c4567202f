import io
from pathlib import Path

import pytest

from lockgate.tasks.release_notes import history
from lockgate.tasks.release_notes.git import Repository
from lockgate.tasks.release_notes.history import Record
from tasks.release_notes.repos import Repo


def read(repo: Repo) -> list[Record]:
    with Repository(repo.path).stream((*history.ARGUMENTS, "HEAD")) as stream:
        return list(history.records(stream))


def test_a_commit_is_read_with_its_files(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r")
    repo.commit("one", files={"a.py": "same text", "b.py": "1", "old": "x"})
    repo.commit(
        "two\n\nBody.", files={"a.py": None, "c/a.py": "same text", "b.py": "2", "old": None}
    )
    newest, oldest = read(repo.build())

    assert (newest.sha, newest.parents) == (repo.sha(2), (repo.sha(1),))
    assert (newest.subject, newest.body) == ("two", "Body.")
    assert sorted(newest.files) == ["D old", "M b.py", "R c/a.py"]
    assert sorted(oldest.files) == ["A a.py", "A b.py", "A old"]


def test_a_merge_and_an_empty_commit_have_no_files(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r")
    repo.commit("one")
    repo.commit("side")
    repo.commit("main", parents=[1])
    repo.commit("Merge", files={}, parents=[3, 2])
    repo.commit("empty", files={})
    found = {r.subject: r for r in read(repo.build())}

    assert found["Merge"].parents == (repo.sha(3), repo.sha(2))
    assert (found["Merge"].files, found["empty"].files) == ((), ())
    assert found["main"].files == ("A src/3.py",)


def test_no_message_can_forge_another_commit_or_file(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r")
    forged = f"one\n\n{'a' * 40}\nM\tsecret.py\n\nM secret.py\n%x00"
    repo.commit(forged, files={"M\tx\ny": "1"})
    (only,) = read(repo.build())

    assert only.subject == "one"
    assert only.files == ("A M x y",)
    assert "secret.py" in only.body


def test_text_that_is_not_utf_8_is_read_with_marks_in_its_place(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r")
    repo.commit(
        b"caf\xe9 \xff\n\nb\xf6dy",
        files={b"dir/\xe9\xff.py": "1"},
    )
    (only,) = read(repo.build())

    assert (only.subject, only.body) == ("caf\ufffd \ufffd", "b\ufffddy")
    assert only.files == ("A dir/\ufffd\ufffd.py",)


def test_control_and_direction_characters_are_taken_out(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r")
    repo.commit("red \x1b[31malert\x07 \u202egnp.exe\u2066\n\nbo\x1bdy\r\nline")
    (only,) = read(repo.build())

    assert only.subject == "red [31malert gnp.exe"
    assert only.body == "body\nline"


def test_a_long_body_keeps_its_beginning_and_its_footers() -> None:
    body = history.clean_body("begin " + "x" * 50_000 + "\n\nBREAKING CHANGE: it is gone")
    assert body.startswith("begin ")
    assert body.endswith("BREAKING CHANGE: it is gone")
    assert len(body) < 4_100


def test_trailers_that_name_people_are_left_out() -> None:
    body = "Why.\n\nSigned-off-by: A <a@b.c>\nCo-authored-by: B <b@b.c>\nRefs: #1\nCc: x@y.z"
    assert history.clean_body(body) == "Why.\n\nRefs: #1"


def test_a_field_without_end_does_not_fill_the_memory() -> None:
    class Endless(io.RawIOBase):
        left = 30

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b"x" * size if self.left > 0 else b""

    found = list(history.fields(Endless()))  # type: ignore[arg-type]
    assert [len(field) for field in found] == [256 * 1024]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_the_size_of_the_pieces_does_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_CHUNK", size)
    row = "\0".join(["a" * 40, "", "Ann", "a@b", "5", "subject", "body"]) + "\0\nM\0x.py\0"
    row += "\0".join(["b" * 40, "a" * 40, "Ann", "a@b", "4", "other", ""]) + "\0"
    found = list(history.records(io.BytesIO(row.encode())))
    assert [(r.sha[0], r.subject, r.files) for r in found] == [
        ("a", "subject", ("M x.py",)),
        ("b", "other", ()),
    ]


def test_files_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "r")
    repo.commit("many", files={f"f{n:03}": "x" for n in range(60)})
    (only,) = read(repo.build())
    assert (len(only.files), only.more_files) == (50, 10)
