"""Findings as Markdown for a pull request's comment (GitHub Flavored Markdown 0.29)."""

import re
from collections.abc import Sequence

from lockgate.domain.finding import Finding
from lockgate.domain.report.commands import inert
from lockgate.domain.report.document import Report

MAX_LISTED = 50
"""A comment holds 65,536 characters at GitHub; 50 findings stay well under."""
_SPECIAL = re.compile(r"([\\*_{}\[\]<>#|~&@!])")
_TICKS = re.compile(r"`+")


def markdown(report: Report) -> str:
    """Return a comment: risk and summary, the findings worst first, what to do about each kind."""
    parts = [
        f"## {report.information.capitalize()}: {report.risk.name.lower()} risk",
        _prose(report.summary),
    ]
    listed = report.findings[:MAX_LISTED]
    if listed:
        rows = [f"| {_cells(finding)} |" for finding in listed]
        parts.append("\n".join(["| severity | place | finding |", "|---|---|---|", *rows]))
    if len(report.findings) > len(listed):
        parts.append(f"{len(report.findings) - len(listed)} more findings are in the JSON report.")
    if listed:
        parts.append(_advice(report, listed))
    parts += [f"> Not whole: {_prose(notice)}." for notice in report.notices]
    parts.append(
        f"Score {report.score} of 100, confidence {report.confidence:.2f}, "
        f"made by {report.engine}. Release {_code(report.release)}."
    )
    return "\n\n".join(parts)


def _cells(finding: Finding) -> str:
    place = finding.path if finding.line is None else f"{finding.path}:{finding.line}"
    text = _prose(finding.message)
    if finding.snippet:
        text += f"<br>{_code(finding.snippet)}"
    return f"{finding.severity.name.lower()} | {_code(place)} | {text}"


def _advice(report: Report, findings: Sequence[Finding]) -> str:
    rules = list(dict.fromkeys(finding.rule for finding in findings))
    items = "\n".join(f"- {_code(rule)}: {report.help(rule)}" for rule in rules)
    return f"<details><summary>What to do</summary>\n\n{items}\n\n</details>"


def _prose(text: str) -> str:
    """Escape what is Markdown outside of code; our own messages use backticks for code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return _SPECIAL.sub(r"\\\1", text.replace("`", "\\`"))
    return "`".join(
        _SPECIAL.sub(r"\\\1", piece) if at % 2 == 0 else piece.replace("|", "\\|")
        for at, piece in enumerate(pieces)
    )


def _code(text: str) -> str:
    """Return a code span that ends nowhere in the text, and in no table cell."""
    text = inert(text).replace("|", "\\|") or " "
    longest = max((len(run) for run in _TICKS.findall(text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
