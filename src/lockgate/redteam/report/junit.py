"""A run as JUnit XML: a suite a family, a case an attack; names are stable."""

import re
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from lockgate.redteam.report.document import TOOL, Report
from lockgate.redteam.results import Trial

# XML 1.0, section 2.2: what no document may hold, escaped or not.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> Iterator[str]:
    """Yield the document."""
    trials = report.trials
    counts = f'tests="{len(trials)}" failures="{len(report.succeeded)}" errors="0"'
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f"<testsuites name={_attribute(f'{TOOL} redteam {report.task}')} {counts}>\n"
    for result in report.families:
        own = [t for t in trials if t.attack.family == result.family.id]
        failed = sum(trial.succeeded for trial in own)
        name = _attribute(f"{result.family.owasp} {result.family.id}")
        yield f' <testsuite name={name} tests="{len(own)}" failures="{failed}" errors="0">\n'
        for trial in own:
            yield _case(report, trial)
        yield " </testsuite>\n"
    yield "</testsuites>\n"


def _case(report: Report, trial: Trial) -> str:
    attack = trial.attack
    name = _attribute(f"{attack.surface} {'+'.join(attack.mutations) or 'plain'} [{attack.id}]")
    owner = _attribute(f"redteam.{report.task}.{attack.family}")
    head = f"  <testcase name={name} classname={owner}"
    if not trial.hits:
        return f"{head}/>\n"
    first = trial.hits[0]
    lines = [f"{hit.detector}: {report.shown(hit.reason)}" for hit in trial.hits]
    lines.append(report.shown(trial.minimal if trial.minimal is not None else attack.text))
    said = _attribute(f"{first.detector}: {report.shown(first.reason)}")
    text = escape(_clean("\n".join(lines)))
    return f"{head}><failure message={said}>{text}</failure></testcase>\n"


def _attribute(text: str) -> str:
    return quoteattr(_clean(text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
