"""How risky a change is: a table of points, to be read and argued with. Not calibrated.

| severity | first finding of a rule | each further one | at most further |
|----------|-------------------------|------------------|-----------------|
| high     | 60                      | 10               | 30              |
| medium   | 20                      | 5                | 15              |
| low      | 5                       | 1                | 5               |

The sum, at most 100, is the score. From 60 on the risk is high, from 20 on it is medium: one high
finding makes a change high, and so do three kinds of medium ones.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review import languages
from lockgate.tasks.review.change import Change

MOST = 100
HIGH_FROM = 60
MEDIUM_FROM = 20
_KNOWN = 0.95
_UNKNOWN = 0.6


@dataclass(frozen=True, slots=True)
class _Points:
    first: int
    further: int
    most: int


_POINTS: Mapping[Severity, _Points] = {
    Severity.HIGH: _Points(60, 10, 30),
    Severity.MEDIUM: _Points(20, 5, 15),
    Severity.LOW: _Points(5, 1, 5),
}


def score(findings: Iterable[Finding]) -> int:
    """Return the points of the findings, 0 to 100."""
    counts = Counter((finding.rule, finding.severity) for finding in findings)
    total = 0
    for (_, severity), times in counts.items():
        points = _POINTS[severity]
        total += points.first + min(points.most, points.further * (times - 1))
    return min(MOST, total)


def risk(points: int) -> Severity:
    """Return the risk that a score stands for."""
    if points >= HIGH_FROM:
        return Severity.HIGH
    return Severity.MEDIUM if points >= MEDIUM_FROM else Severity.LOW


def confidence(change: Change) -> float:
    """Say how much of the change was understood, 0 to 1.

    The mean over the changed lines: 0.95 for a file that an analyser knows how to read, 0.6 for
    another, 0 for what was omitted (a file counts as many lines as the mean file has).
    """
    known = other = 0
    for file in change.files:
        size = len(file.added) + len(file.removed) + 1
        if _is_read(file.path):
            known += size
        else:
            other += size
    seen = known + other
    if not seen:
        return 0.0 if change.omitted.files else 1.0
    share = len(change.files) / (len(change.files) + change.omitted.files)
    return round((known * _KNOWN + other * _UNKNOWN) / seen * share, 2)


def _is_read(path: str) -> bool:
    return bool(
        languages.language(path)
        or languages.is_documentation(path)
        or languages.is_generated(path)
        or languages.is_configuration(path)
    )
