"""Reports by the end of their file's name."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TypeAlias, cast

from lockgate.errors import StorageFailed, UsageError
from lockgate.evals.report.document import Report

Write: TypeAlias = Callable[[Report], Iterator[str]]
FORMS: Mapping[str, str] = {
    "json": "as_json:json_report",
    "jsonl": "as_json:json_lines",
    "junit": "junit:junit",
    "sarif": "sarif:sarif",
    "markdown": "markdown:markdown",
    "html": "html:html",
}
_ENDINGS: Mapping[str, str] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".xml": "junit",
    ".sarif": "sarif",
    ".md": "markdown",
    ".html": "html",
    ".htm": "html",
}


def form_of(path: Path) -> str:
    """Return the form that a file's name asks for.

    Raises:
        UsageError: no form has that ending.

    """
    if path.name.endswith(".sarif.json"):
        return "sarif"
    form = _ENDINGS.get(path.suffix.lower())
    if form is None:
        raise UsageError(
            f"`{path}` names no kind of report", hint=f"names end in {', '.join(_ENDINGS)}"
        )
    return form


def text_of(form: str, report: Report) -> Iterator[str]:
    """Yield a report piece by piece."""
    module, _, name = FORMS[form].partition(":")
    # Each name comes from the table above.
    write = cast("Write", getattr(import_module(f"lockgate.evals.report.{module}"), name))
    return write(report)


def write_report(path: Path, report: Report) -> None:
    """Write a report beside its place and move it there: an old one stays whole until then.

    Raises:
        StorageFailed: it cannot be written.

    """
    part = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            for piece in text_of(form_of(path), report):
                file.write(piece)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageFailed(f"`{path}` cannot be written: {error.strerror}") from error
