"""A run as JUnit XML, in the form that Jenkins, GitLab and GitHub actions read.

Names are stable: the case's name and its id, whatever number it has today.
"""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from lockgate.domain.verdict import Outcome as Ruled
from lockgate.evals.gate.ruling import Ruling
from lockgate.evals.report.document import TOOL, Report
from lockgate.evals.results import Outcome, Result

_SHORT_ID = 12
_MAX_TEXT = 20_000
# XML 1.0, section 2.2: what no document may hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> Iterator[str]:
    """Yield the document."""
    summary = report.summary
    broken = summary.broken
    rulings = summary.rulings
    failures = summary.failed + sum(r.outcome is Ruled.FAIL for r in rulings)
    unsure = sum(r.outcome not in {Ruled.FAIL, Ruled.PASS} for r in rulings)
    errors = summary.errors + len(broken) + unsure
    tests = summary.total + len(broken) + len(rulings)
    counts = f'tests="{tests}" failures="{failures}" errors="{errors}"'
    name = _attribute(report.description or report.suite)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f"<testsuites name={_attribute(TOOL)} {counts}>\n"
    yield f" <testsuite name={name} {counts}>\n"
    for result in report.results():
        yield _case(result)
    for entry in broken:
        place = f"{entry.place.path}:{entry.place.line}"
        yield f"  <testcase name={_attribute(place)} classname={_attribute(entry.place.path)}"
        yield f' file={_attribute(entry.place.path)} line="{entry.place.line}">'
        yield f"<error message={_attribute(entry.problem)}/></testcase>\n"
    for ruling in rulings:
        yield _gate(ruling, report.gate_file or report.suite)
    yield " </testsuite>\n</testsuites>\n"


def _gate(ruling: Ruling, path: str) -> str:
    """Return a gate as a test: one that is not sure is an error, and no pass."""
    head = (
        f'  <testcase name={_attribute(ruling.title)} classname="gate" file={_attribute(path)}'
        f' line="{max(1, ruling.line)}"'
    )
    if ruling.outcome is Ruled.PASS:
        return f"{head}/>\n"
    kind = "failure" if ruling.outcome is Ruled.FAIL else "error"
    message = _attribute(f"{ruling.verdict}: {ruling.reason}")
    return f"{head}><{kind} message={message}/></testcase>\n"


def _case(result: Result) -> str:
    name = f"{result.name} [{result.id[:_SHORT_ID]}]"
    owner = f"{result.path}.{result.provider}"
    head = (
        f"  <testcase name={_attribute(name)} classname={_attribute(owner)}"
        f' file={_attribute(result.path)} line="{result.line}"'
    )
    if result.outcome is Outcome.PASSED:
        return f"{head}/>\n"
    kind = "failure" if result.outcome is Outcome.FAILED else "error"
    wrong = "\n".join(
        f"{a['type']}: {a.get('reason', '')}" for a in result.assertions if not a["passed"]
    )
    return (
        f"{head}><{kind} message={_attribute(result.reason)}>{_text(wrong)}</{kind}></testcase>\n"
    )


def _attribute(text: str) -> str:
    return quoteattr(_clean(text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _text(text: str) -> str:
    return escape(_clean(text))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text[:_MAX_TEXT])
