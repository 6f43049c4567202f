"""Reads rows from JSON Lines, JSON and CSV, with the line of each and of what is broken."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.errors import InvalidInput, NotFound

MAX_BYTES: Final = 1 << 30
MAX_BROKEN: Final = 1_000
_MAX_LINE: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row, and the line where it stands."""

    line: int
    value: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A line that is no row."""

    line: int
    problem: str


@dataclass(slots=True, kw_only=True)
class Table:
    """The rows of a file, and what of it could not be read."""

    path: str
    digest: Digest
    """Of the file's bytes."""
    rows: list[Row] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    broken_count: int = 0

    def add(self, line: int, value: Json) -> None:
        """Keep a row if it is an object that has a canonical form."""
        if not isinstance(value, dict):
            self.add_broken(line, f"it is a {type(value).__name__}, not an object")
            return
        try:
            canonical(value)
        except (ValueError, RecursionError) as error:
            self.add_broken(line, f"it has no canonical form: {error}")
            return
        self.rows.append(Row(line=line, value=value))

    def add_broken(self, line: int, problem: str) -> None:
        """Count a line that is no row, and name it while there is room."""
        self.broken_count += 1
        if len(self.broken) < MAX_BROKEN:
            self.broken.append(Broken(line=line, problem=problem))


def read_table(path: Path) -> Table:
    """Read a file by its ending: `.jsonl`, `.ndjson`, `.json` (an array) or `.csv` (with a head).

    Raises:
        NotFound: it cannot be read.
        InvalidInput: it is too large, not UTF-8, or of another kind.

    """
    data = _bytes(path)
    table = Table(path=str(path), digest=Digest.of(data))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidInput(
            f"`{path}`, line {line} is not UTF-8", hint="convert it: `iconv -t utf-8`"
        ) from error
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            _json_lines(text, table)
        case ".json":
            _json(text, table)
        case ".csv":
            _csv(text, table)
        case ending:
            raise InvalidInput(f"`{path}` ends in `{ending}`", hint="give .jsonl, .json or .csv")
    return table


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NotFound(f"`{path}` cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"`{path}` is larger than {MAX_BYTES} bytes", hint="split it")
    return data


def _json_lines(text: str, table: Table) -> None:
    # Not splitlines: U+2028 stands inside of JSON strings.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if len(line) > _MAX_LINE:
            table.add_broken(number, f"it has {len(line)} characters, {_MAX_LINE} are read")
            continue
        try:
            value = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            table.add_broken(number, f"it is not JSON: {error}")
            continue
        table.add(number, value)


def _json(text: str, table: Table) -> None:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        table.add_broken(1, f"the file is not JSON: {error}")
        return
    if not isinstance(value, list):
        table.add_broken(1, "the file is no array of objects")
        return
    for number, item in enumerate(value, 1):
        table.add(number, item)


def _csv(text: str, table: Table) -> None:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = next(reader, [])
        if len(set(head)) != len(head) or not all(head):
            table.add_broken(1, "the head has empty or equal names")
            return
        for number, cells in _records(reader):
            if len(cells) != len(head):
                table.add_broken(number, f"it has {len(cells)} columns, the head {len(head)}")
                continue
            table.add(number, dict(zip(head, cells, strict=True)))
    except csv.Error as error:
        table.add_broken(reader.line_num, f"it is not CSV: {error}")


def _records(reader: "Iterator[list[str]]") -> Iterator[tuple[int, list[str]]]:
    for cells in reader:
        if cells:
            yield reader.line_num, cells  # type: ignore[attr-defined]


def _refuse(name: str) -> Json:
    raise ValueError(f"`{name}` is no JSON number")


def member(row: JsonObject, path: str) -> Json:
    """Return what stands at a path of names, such as `input.text`; None if nothing does."""
    value: Json = row
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def text_of(value: Json) -> str:
    """Return all texts of a value, in order, one a line: what duplicates are looked for in."""
    found: list[str] = []
    _collect(value, found)
    return "\n".join(found)


def _collect(value: Json, into: list[str]) -> None:
    match value:
        case str():
            into.append(value)
        case dict():
            for name in sorted(value):
                _collect(value[name], into)
        case list() | tuple():
            for item in value:
                _collect(item, into)
        case None | bool():
            pass
        case _:
            into.append(str(value))
