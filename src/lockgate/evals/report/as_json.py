"""A run as one JSON object, or as JSON Lines."""

import json
from collections.abc import Iterator

from lockgate.evals.report.document import TOOL, Report
from lockgate.evals.results import line_of


def json_report(report: Report) -> Iterator[str]:
    """Yield the text of the object: a head, the summary, and the results one a line."""
    head = {
        "tool": {"name": TOOL, "version": report.version},
        "suite": report.suite,
        "description": report.description,
        "summary": report.summary.document,
        "notices": list(report.notices),
        "digests": {**report.digests(), "dataset": str(report.summary.dataset)},
    }
    text = json.dumps(head, ensure_ascii=False, sort_keys=True, indent=1)
    yield text.removesuffix("\n}")
    yield ',\n "results": ['
    for number, result in enumerate(report.results()):
        yield ",\n  " if number else "\n  "
        yield line_of(result).decode().rstrip("\n")
    yield "\n ]\n}\n"


def json_lines(report: Report) -> Iterator[str]:
    """Yield a line a result."""
    for result in report.results():
        yield line_of(result).decode()
