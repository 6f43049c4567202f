"""Reads a diff of any size in bounded memory, keeping whole files up to a budget."""

import codecs
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput, NotFound
from lockgate.ports import Options
from lockgate.tasks.review import paths
from lockgate.tasks.review.change import Omitted
from lockgate.tasks.review.diff import HINT
from lockgate.tasks.review.output import encode_omitted
from lockgate.tasks.review.schema import MAX_NAMES

MAX_BYTES = 16 << 20
_PIECE = 1 << 16
"""A line is read in pieces of at most this many bytes: 100 MB may be one line."""
_LEAST_LINE = 32
"""What a line takes of the budget at least: short lines cost memory too."""
_MAX_NAME = 300
_STARTS = (b"diff --git ", b"diff --cc ", b"diff --combined ")


@dataclass(slots=True)
class _Kept:
    """What is kept so far, and the file that is being read."""

    budget: int
    kept: bytearray = field(default_factory=bytearray)
    used: int = 0
    current: bytearray = field(default_factory=bytearray)
    size: int = 0
    """Bytes of the current file, kept or not."""
    cost: int = 0
    """What the current file takes of the budget."""
    name: str | None = None
    """Of the current file; None in the text before the first one."""
    omitted_files: int = 0
    omitted_bytes: int = 0
    names: list[str] = field(default_factory=list[str])

    def begin(self, name: str) -> None:
        """Close the current file and begin another."""
        self.close()
        self.current, self.size, self.cost, self.name = bytearray(), 0, 0, name

    def add(self, piece: bytes) -> None:
        """Take a piece of the current file; drop the file once it is past the budget."""
        self.size += len(piece)
        self.cost += max(len(piece), _LEAST_LINE)
        if self._fits:
            self.current += piece
        elif self.name is not None:
            self.current.clear()
        elif not self.current:
            self.current += piece

    def close(self) -> None:
        """Keep the current file, or count it."""
        if self._fits:
            self.kept += self.current
            self.used += self.cost
            return
        if self.name is None:
            self.kept += self.current[:_PIECE]  # no diff: enough of it to show what it is
            return
        self.omitted_files += 1
        self.omitted_bytes += self.size
        if len(self.names) < MAX_NAMES:
            self.names.append(self.name)

    @property
    def _fits(self) -> bool:
        return self.used + self.cost <= self.budget


def collect(options: Options) -> dict[str, Json]:
    """Read the file that the options name, or standard input.

    What does not fit the budget is left out file by file, and counted: a large file hides no
    small one behind it.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it cannot be read or is UTF-16, or standard input is a terminal.

    """
    budget = options.get("max_bytes")
    kept = _Kept(budget=budget if isinstance(budget, int) else MAX_BYTES)
    if kept.budget < 1:
        raise InvalidInput(f"`--max-bytes` is `{kept.budget}`", hint="give at least 1")
    file = options.get("file")
    if file is None or file == "-":
        if file is None and sys.stdin.isatty():
            raise InvalidInput("no diff was given", hint=f"{HINT}, then name the file")
        _read(sys.stdin.buffer, kept)
    else:
        _open(Path(str(file)), kept)
    diff = kept.kept.decode("utf-8", "replace")
    omitted = Omitted(files=kept.omitted_files, bytes=kept.omitted_bytes, names=tuple(kept.names))
    return {"diff": diff, "omitted": encode_omitted(omitted)}


def _open(path: Path, kept: _Kept) -> None:
    try:
        with path.open("rb") as file:
            _read(file, kept)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file `{path}`", hint=HINT) from error
    except OSError as error:
        raise InvalidInput(f"`{path}` cannot be read: {error.strerror}", hint=HINT) from error


def _read(stream: BinaryIO, kept: _Kept) -> None:
    git = False
    held = b""
    for starts, piece in _pieces(_unmarked(stream)):
        if starts and piece.startswith(b"+++ ") and held:
            names = (_name(held), _name(piece))
            name = names[0] if names[1] == paths.NOTHING else names[1]
            if git:
                kept.name = name
            else:
                kept.begin(name)
        if held:
            kept.add(held)
            held = b""
        if starts and piece.startswith(b"--- "):
            held = piece  # what it is, the next line says
            continue
        if starts and piece.startswith(_STARTS):
            git = True
            kept.begin(_header(piece))
        kept.add(piece)
    kept.add(held)
    kept.close()


def _unmarked(stream: BinaryIO) -> Iterator[bytes]:
    """Yield pieces of lines, without a byte order mark before the first."""
    first = stream.readline(_PIECE)
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidInput(
            "the diff is UTF-16, as some shells write what is redirected to a file",
            hint="let git write it: `git diff --unified=0 --output=diff.patch main...`",
        )
    piece = first.removeprefix(codecs.BOM_UTF8)
    while piece:
        yield piece
        piece = stream.readline(_PIECE)


def _pieces(read: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Yield pieces of lines, and whether each is the beginning of one."""
    starts = True
    for piece in read:
        yield starts, piece
        starts = piece.endswith(b"\n")


def _header(line: bytes) -> str:
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    words = text.split(" ", 2)[2]
    names = paths.header(words) if text.startswith("diff --git ") else None
    return paths.shown(names[1] if names else words)[:_MAX_NAME]


def _name(line: bytes) -> str:
    text = line.decode("utf-8", "replace").rstrip("\r\n")[4:]
    name = paths.unquote(text)[0]
    if name != paths.NOTHING and name[:2] in {"a/", "b/"}:
        name = name[2:]
    return paths.shown(name)[:_MAX_NAME]
