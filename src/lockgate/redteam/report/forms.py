"""Reports by the end of their file's name."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from lockgate.errors import UsageError
from lockgate.redteam.report.document import Report
from lockgate.redteam.report.html import html
from lockgate.redteam.report.junit import junit
from lockgate.redteam.report.markdown import markdown
from lockgate.redteam.report.sarif import sarif

Write: TypeAlias = Callable[[Report], Iterator[str]]


def as_json(report: Report) -> Iterator[str]:
    """Yield the whole report as one JSON object: the only form that a later run compares with."""
    yield json.dumps(report.document, ensure_ascii=True, indent=1)
    yield "\n"


_ENDINGS: Final[Mapping[str, Write]] = {
    ".json": as_json,
    ".xml": junit,
    ".sarif": sarif,
    ".md": markdown,
    ".html": html,
    ".htm": html,
}


def writer_of(path: Path) -> Write:
    """Return what writes the form that a file's name asks for.

    Raises:
        UsageError: no form has that ending.

    """
    if path.name.endswith(".sarif.json"):
        return sarif
    write = _ENDINGS.get(path.suffix.lower())
    if write is None:
        raise UsageError(
            f"`{path}` names no kind of report", hint=f"names end in {', '.join(_ENDINGS)}"
        )
    return write
