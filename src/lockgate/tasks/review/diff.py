"""Reads unified diffs: git's, plain ones, combined ones, with any text around them.

The grammar is that of git-diff, "Generating patch text with -p" and "Combined diff format", and of
POSIX diff, "Diff -u Output Format". Time is linear in the text, whatever it says of itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lockgate.errors import InvalidInput
from lockgate.tasks.review import paths
from lockgate.tasks.review.change import File, Line, Status

HINT = "make one with `git diff --unified=0 main... > diff.patch`"
MAX_NUMBER = 10**9
"""Larger line numbers and counts are read as this: no file is that long."""
_SHOWN = 80
_COUNT = r"(\d{1,18})(?:,(\d{1,18}))?"
_HUNK = re.compile(rf"@@ -{_COUNT} \+{_COUNT} @@")
_COMBINED = re.compile(rf"(@@@{{1,8}})((?: -\d{{1,18}}(?:,\d{{1,18}})?){{2,9}}) \+{_COUNT} @@@")
_COMMIT = re.compile(r"(?:commit|From|tree|tag) \S")
_PLACEHOLDER = "<secret:"


@dataclass(slots=True)
class _File:
    """A file while it is read."""

    old: str | None = None
    new: str | None = None
    status: Status | None = None
    binary: bool = False
    old_mode: str | None = None
    new_mode: str | None = None
    added: list[Line] = field(default_factory=list[Line])
    removed: list[Line] = field(default_factory=list[Line])
    cut_short: bool = False
    marked: bool = False
    """`---` and `+++` were read."""

    def done(self) -> File:
        old, new = self.old or self.new or "", self.new or self.old or ""
        status: Status = self.status or "modified"
        if old == paths.NOTHING:
            old, status = new, "added"
        if new == paths.NOTHING:
            new, status = old, "deleted"
        return File(
            path=paths.shown(new),
            old_path=paths.shown(old),
            status=status,
            binary=self.binary,
            old_mode=self.old_mode,
            new_mode=self.new_mode,
            added=tuple(self.added),
            removed=tuple(self.removed),
            cut_short=self.cut_short,
        )


def parse(text: str) -> tuple[File, ...]:
    """Return the files of a diff, in its order. Nothing but white space is a diff of no files.

    Raises:
        InvalidInput: there is text, and no diff in it.

    """
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()  # what follows the last line's end is no line
    reader = _Reader(lines)
    files = tuple(item.done() for item in reader.read())
    if not files:
        first = next((line.strip() for line in lines if line.strip()), None)
        if first is not None and not _COMMIT.match(first):
            raise InvalidInput(
                f"the input is not a diff; its first line is `{paths.shown(first[:_SHOWN])}`",
                hint="make it without colours, with `--no-color`" if "\x1b[" in first else HINT,
            )
    return files


class _Reader:
    """Walks over the lines once. Mutable, and private to one parse."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0
        self._file: _File | None = None

    def read(self) -> Iterator[_File]:
        """Yield files as they end."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            ended = self._file
            if self._starts_file(line):
                if ended is not None:
                    yield ended
            elif self._file is not None and line.startswith("@@"):
                self._hunk(self._file, line)
            elif self._file is not None and not self._file.marked:
                _extended(self._file, line.removesuffix("\r"))
            self._at += 1
        if self._file is not None:
            yield self._file

    def _starts_file(self, line: str) -> bool:
        """Begin a file if the line says so. `---` after a git header continues that file."""
        if line.startswith("diff --git "):
            names = paths.header(line[len("diff --git ") :].removesuffix("\r"))
            self._file = _File(*(names or (None, None)))
            return True
        if line.startswith(("diff --cc ", "diff --combined ")):
            name = paths.unquote(line.removesuffix("\r").split(" ", 2)[2])[0]
            self._file = _File(name, name)
            return True
        if not line.startswith("--- ") or not self._next_is("+++ "):
            return False
        current = self._file
        starts = current is None or current.marked
        if starts and not self._next_is("@@ -", 2):
            return False
        if current is None or starts:
            current = self._file = _File()
        self._names(current, line)
        self._at += 1
        return starts

    def _next_is(self, start: str, ahead: int = 1) -> bool:
        at = self._at + ahead
        return at < len(self._lines) and self._lines[at].startswith(start)

    def _names(self, file: _File, line: str) -> None:
        file.marked = True
        old, new = (
            paths.unquote(text[4:].removesuffix("\r"))[0]
            for text in (line, self._lines[self._at + 1])
        )
        if paths.NOTHING in {old, new}:
            file.status = "added" if old == paths.NOTHING else "deleted"
            if file.new and file.new != paths.NOTHING:
                return  # the git header has the name, and knows about prefixes
        if file.status in {"renamed", "copied"}:
            return
        file.old, file.new = paths.pair(old, new)

    def _hunk(self, file: _File, line: str) -> None:
        file.marked = True
        if plain := _HUNK.match(line):
            start, new = _number(plain[3]), _number(plain[4])
            self._body(file, 1, start + (new == 0), (_number(plain[2]), new))
        elif combined := _COMBINED.match(line):
            parents = len(combined[1]) - 1
            start, new = _number(combined[3]), _number(combined[4])
            old = sum(_number(r.partition(",")[2] or "1") for r in combined[2].split())
            self._body(file, parents, start + (new == 0), (old, new))

    def _body(self, file: _File, columns: int, number: int, counts: tuple[int, int]) -> None:
        """Read the lines of a hunk. Ends where a line can be none of it.

        `number` is that of the next line in the new file; `counts` are what the header promises
        of the old and the new file.
        """
        old, new = counts
        first = len(file.added)
        lines, at = self._lines, self._at + 1
        while at < len(lines):
            line = lines[at]
            sign = line[:columns]
            if "-" in sign:
                if old <= 0 and (line.startswith("--- ") or line.rstrip("\r") == "-- "):
                    break
                old -= columns if columns == 1 else max(1, sign.count("-"))
                file.removed.append(Line(max(1, number - 1), line[columns:].removesuffix("\r")))
            elif "+" in sign:
                if new <= 0 and line.startswith("+++ "):
                    break
                file.added.append(Line(number, line[columns:].removesuffix("\r")))
                number += 1
                new -= 1
            elif sign.startswith("\\"):
                pass
            elif new > 0 and (sign.isspace() or line == ""):
                number += 1
                new -= 1
                old -= columns
            else:
                break
            at += 1
        start, self._at = self._at, at - 1
        if new > 0 or (old > 0 and columns == 1):
            self._missing(file, first, max(0, new), start=start)

    def _missing(self, file: _File, first: int, missing: int, *, start: int) -> None:
        """Account for lines that a hunk lacks.

        A secret over several lines became one placeholder: what follows it moves down. Anything
        else is a diff that was cut off, and so is a placeholder in old text with nothing behind
        it: a key without an end may have taken the rest of the diff with it.
        """
        for at in range(first, len(file.added)):
            if _PLACEHOLDER in file.added[at].text:
                file.added[at + 1 :] = [
                    Line(number + missing, text) for number, text in file.added[at + 1 :]
                ]
                return
        rest = self._lines[start : self._at + 1]
        last = self._at + 1 >= len(self._lines)
        if last or not any(_PLACEHOLDER in line for line in rest):
            file.cut_short = True


def _extended(file: _File, line: str) -> None:
    """Read one of git's extended header lines."""
    match line.split(" ", 2):
        case ["old", "mode", mode]:
            file.old_mode = mode[:6]
        case ["new", "mode", mode]:
            file.new_mode = mode[:6]
        case ["deleted", "file", rest]:
            file.status, file.old_mode = "deleted", rest.removeprefix("mode ")[:6]
        case ["new", "file", rest]:
            file.status, file.new_mode = "added", rest.removeprefix("mode ")[:6]
        case ["rename" | "copy" as verb, "from", name]:
            file.status = "renamed" if verb == "rename" else "copied"
            file.old = paths.unquote(name)[0]
        case ["rename" | "copy" as verb, "to", name]:
            file.status = "renamed" if verb == "rename" else "copied"
            file.new = paths.unquote(name)[0]
        case ["Binary", "files", rest] if rest.endswith(" differ"):
            file.binary = True
            if file.new is None:
                old, _, new = rest.removesuffix(" differ").partition(" and ")
                file.old, file.new = paths.pair(paths.unquote(old)[0], paths.unquote(new)[0])
        case ["GIT", "binary", "patch"]:
            file.binary = True
        case _:
            pass


def _number(digits: str | None) -> int:
    return 1 if digits is None else min(int(digits), MAX_NUMBER)
