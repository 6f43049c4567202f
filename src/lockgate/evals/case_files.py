"""Files of cases, read case by case: a broken line is named, and the others still run."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig, InvalidInput
from lockgate.evals.fields import Problems
from lockgate.evals.suite import CaseFile, Place, TestCase
from lockgate.evals.test_cases import read_row, read_test, test_of_line
from lockgate.evals.yaml_document import MAX_BYTES, document

MAX_LINE = 8 << 20
"""Characters of one line; a longer one is broken."""
MAX_FIELD = 1 << 20


class Broken(InvalidInput):
    """One case that cannot be read."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"`{place.path}`, line {place.line}: {problem}")
        self.place = place
        self.problem = problem


def read_cases(file: CaseFile) -> Iterator[TestCase | Broken]:
    """Yield the cases of a file, and in their places the ones that are broken.

    Raises:
        InvalidConfig: the file as a whole cannot be read.

    """
    try:
        # `utf-8-sig`: spreadsheets write a byte order mark. Bad bytes break their line only.
        with file.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as opened:
            match file.form:
                case "jsonl":
                    yield from _json_lines(file, opened)
                case "csv":
                    yield from _csv(file, opened)
                case _:
                    yield from _document(file, opened)
    except OSError as error:
        raise InvalidConfig(f"`{file.shown}` cannot be read: {error.strerror}") from error


def _json_lines(file: CaseFile, opened: IO[str]) -> Iterator[TestCase | Broken]:
    number = 0
    while line := opened.readline(MAX_LINE + 1):
        number += 1
        place = Place(path=file.shown, line=number)
        if len(line) > MAX_LINE:
            while line and not line.endswith("\n"):
                line = opened.readline(MAX_LINE)
            yield Broken(place, f"longer than {MAX_LINE} characters")
            continue
        if not line.strip():
            continue
        try:
            line.encode("utf-8")
            item = test_of_line(line)
        except UnicodeEncodeError:
            yield Broken(place, "not UTF-8")
        except (ValueError, TypeError) as error:
            yield Broken(place, f"not a case: {error}")
        else:
            yield _read(file, item, place)


def _document(file: CaseFile, opened: IO[str]) -> Iterator[TestCase | Broken]:
    text = opened.read(MAX_BYTES + 1)
    if file.form == "json":
        # Line numbers come from the YAML reader: JSON is a part of YAML 1.2.
        text = text.replace("\t", "  ")
    value, lines = document(text, file.shown)
    found = value if isinstance(value, list) else [] if value is None else [value]
    for item in found:
        place = Place(path=file.shown, line=lines.of(item) or 1)
        if isinstance(item, str) and item.startswith("file://"):
            yield Broken(place, f"`{item}`: a file of cases does not name others")
        elif not isinstance(item, Mapping):
            yield Broken(place, "not an object")
        else:
            problems = Problems(file.shown, lines, base=place.line)
            yield _finished(read_test(item, file.shown, problems), problems, place)


def _csv(file: CaseFile, opened: IO[str]) -> Iterator[TestCase | Broken]:
    csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(_checked(opened), strict=True)
    header: list[str] | None = None
    row = 0
    while True:
        start = reader.line_num + 1
        place = Place(path=file.shown, line=start)
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Broken(place, f"not CSV: {error}")
            continue
        if cells is None:
            return
        if not cells:
            continue
        if header is None:
            header = cells
            continue
        row += 1
        if len(cells) != len(header):
            yield Broken(place, f"{len(cells)} column(s), and the header has {len(header)}")
            continue
        if any("\udc80" <= character <= "\udcff" for cell in cells for character in cell):
            yield Broken(place, "not UTF-8")
            continue
        problems = Problems(file.shown, base=start)
        case = read_row(dict(zip(header, cells, strict=True)), file.shown, row, problems)
        yield _finished(case, problems, place)


def _checked(opened: IO[str]) -> Iterator[str]:
    while line := opened.readline(MAX_LINE):
        yield line.replace("\0", "\ufffd")


def _read(file: CaseFile, item: Mapping[str, Json], place: Place) -> TestCase | Broken:
    problems = Problems(file.shown, base=place.line)
    return _finished(read_test(item, file.shown, problems), problems, place)


def _finished(case: TestCase, problems: Problems, place: Place) -> TestCase | Broken:
    """Return the case, or say that it is broken.

    A type that is not there breaks its case only: the suite itself has been checked before.
    """
    if problems.found:
        return Broken(place, "; ".join(problems.found))
    return case


def form_of(path: Path) -> str | None:
    """Return how a file is read, by the end of its name; None if it is no file of cases."""
    return {
        ".csv": "csv",
        ".json": "json",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".yaml": "yaml",
        ".yml": "yaml",
    }.get(path.suffix.lower())
