"""What the findings come to, in a sentence or two."""

from collections import Counter
from collections.abc import Sequence

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review.schema import MAX_SUMMARY

_KINDS = 3
_SHOWN_PATH = 80


def counted(risk: Severity, findings: Sequence[Finding]) -> str:
    """Return the sentence with the numbers. No model ever writes it."""
    name = risk.name.capitalize()
    if not findings:
        return f"{name} risk: no findings."
    counts = Counter(finding.severity for finding in findings)
    parts = [f"{counts[s]} {s.name.lower()}" for s in sorted(counts, reverse=True)]
    files = len({finding.path for finding in findings})
    return (
        f"{name} risk: {_count(len(findings), 'finding')} ({', '.join(parts)}) "
        f"in {_count(files, 'file')}."
    )


def pointed(findings: Sequence[Finding]) -> str:
    """Return where to look first: the worst finding of each of the first kinds."""
    if not findings:
        return ""
    kinds = list({f.rule: f for f in reversed(findings)}.values())[::-1][:_KINDS]
    while kinds:
        places = "; ".join(f"{_place(f)}: {f.message.rstrip('.')}" for f in kinds)
        text = f"Look first at {places}."
        if len(text) <= MAX_SUMMARY // 2:
            return text
        kinds.pop()
    return f"Look first at {_place(findings[0])}."


def _place(finding: Finding) -> str:
    path = finding.path
    if len(path) > _SHOWN_PATH:
        path = "…" + path[-_SHOWN_PATH:]
    return path if finding.line is None else f"{path}:{finding.line}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
