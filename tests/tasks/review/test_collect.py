import io
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.errors import InvalidInput, NotFound
from lockgate.tasks.review.collect import collect
from lockgate.tasks.review.diff import parse

MEGABYTE = 1 << 20


def section(name: str, lines: int) -> str:
    body = "+x = 'some line of code that is as long as lines are'\n" * lines
    return (
        f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -0,0 +1,{lines} @@\n{body}"
    )


def write(path: Path, *parts: str) -> Path:
    path.write_text("".join(parts))
    return path


def test_a_diff_in_the_budget_is_kept_whole(tmp_path: Path) -> None:
    text = section("a.py", 3) + section("b.py", 3)
    given = collect({"file": str(write(tmp_path / "d", text)), "max_bytes": None})

    assert given == {"diff": text, "omitted": {"files": 0, "bytes": 0, "names": []}}


def test_what_is_past_the_budget_is_left_out_by_files_and_counted(tmp_path: Path) -> None:
    small, large = section("a.py", 3), section("vendor/large.py", 1000)
    file = write(tmp_path / "d", small, large, section("c.py", 3))

    given = collect({"file": str(file), "max_bytes": 10_000})

    assert [f.path for f in parse(str(given["diff"]))] == ["a.py", "c.py"]
    assert given["omitted"] == {"files": 1, "bytes": len(large), "names": ["vendor/large.py"]}


def test_plain_diffs_are_cut_between_files_and_not_at_removed_lines(tmp_path: Path) -> None:
    first = "--- a.sql\n+++ a.sql\n@@ -1,2 +1,1 @@\n--- a comment\n--- and another\n+x\n"
    second = "--- b.sql\n+++ b.sql\n@@ -1 +1 @@\n-a\n+" + "b" * 2000 + "\n"
    file = write(tmp_path / "d", first, second)

    given = collect({"file": str(file), "max_bytes": 1000})

    assert given["diff"] == first
    assert given["omitted"] == {"files": 1, "bytes": len(second), "names": ["b.sql"]}


def test_a_diff_of_100_megabytes_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.patch"
    part = section("part.py", 20_000)
    count = 100 * MEGABYTE // len(part) + 1
    with path.open("w") as file:
        for _ in range(count):
            file.write(part)
    program = (
        "import resource, sys\n"
        "from lockgate.tasks.review.collect import collect\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "given = collect({'file': sys.argv[1]})\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(after - before, len(given['diff']), given['omitted']['files'])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True
    )

    grown, kept, omitted = (int(word) for word in done.stdout.split())
    assert grown < 80 * 1024  # kibibytes: the budget of 16 MiB as bytes and as text, twice over
    assert 15 * MEGABYTE - len(part) < kept <= 16 * MEGABYTE
    assert kept // len(part) + omitted == count


def test_one_line_of_many_megabytes_is_left_out_without_being_kept(tmp_path: Path) -> None:
    path = tmp_path / "line.patch"
    head = "diff --git a/min.js b/min.js\n--- a/min.js\n+++ b/min.js\n@@ -0,0 +1 @@\n+"
    path.write_text(head + "x" * (20 * MEGABYTE) + "\n")

    given = collect({"file": str(path)})

    assert given["diff"] == ""
    assert given["omitted"] == {
        "files": 1,
        "bytes": len(head) + 20 * MEGABYTE + 1,
        "names": ["min.js"],
    }


def test_bytes_that_are_not_utf8_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "latin"
    path.write_bytes(
        b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -0,0 +1 @@\n+x = '\xe9'\n"
    )

    given = collect({"file": str(path)})

    assert "x = '\N{REPLACEMENT CHARACTER}'" in str(given["diff"])


def test_a_byte_order_mark_is_no_part_of_the_diff_and_utf16_is_named(tmp_path: Path) -> None:
    text = section("a.py", 1)
    marked, wide = tmp_path / "marked", tmp_path / "wide"
    marked.write_text(text, encoding="utf-8-sig")
    wide.write_text(text, encoding="utf-16")

    assert collect({"file": str(marked)})["diff"] == text
    with pytest.raises(InvalidInput, match="UTF-16"):
        collect({"file": str(wide)})


@pytest.mark.parametrize("file", [None, "-"])
def test_the_diff_comes_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, file: str | None
) -> None:
    text = section("a.py", 1)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    assert collect({"file": file})["diff"] == text


def test_text_that_is_no_diff_is_kept_in_part_for_the_judge(tmp_path: Path) -> None:
    path = tmp_path / "prose"
    path.write_text("once upon a time\n" * 2_000_000)

    given = collect({"file": str(path)})

    assert str(given["diff"]).startswith("once upon a time\n")
    assert len(str(given["diff"])) <= MEGABYTE
    with pytest.raises(InvalidInput, match="once upon a time"):
        parse(str(given["diff"]))


def test_a_missing_file_a_folder_and_a_negative_budget_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing"):
        collect({"file": str(tmp_path / "nothing.patch")})
    with pytest.raises(InvalidInput, match="cannot be read"):
        collect({"file": str(tmp_path)})
    with pytest.raises(InvalidInput, match="-1"):
        collect({"file": "-", "max_bytes": -1})
