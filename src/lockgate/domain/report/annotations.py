"""Findings as GitHub workflow commands, which GitHub shows beside the lines.

Escaping is that of the runner's `command.ts` in `@actions/core`.
"""

from collections.abc import Mapping

from lockgate.domain.finding import Finding, Severity
from lockgate.domain.report.document import Report

_COMMANDS: Mapping[Severity, str] = {
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
}


def annotations(report: Report) -> str:
    """Return one command a line: the findings, the notices, the summary."""
    lines = [_annotation(finding, report.help(finding.rule)) for finding in report.findings]
    lines += [f"::warning title={report.tool}::{_data(notice)}" for notice in report.notices]
    lines.append(f"::notice title={report.tool} {report.information}::{_data(report.summary)}")
    return "\n".join(lines)


def _annotation(finding: Finding, help_text: str) -> str:
    properties = [f"file={_property(finding.path)}"]
    if finding.line is not None:
        properties.append(f"line={finding.line}")
    properties.append(f"title={_property(finding.rule)}")
    message = _data(f"{finding.message}\n{help_text}" if help_text else finding.message)
    return f"::{_COMMANDS[finding.severity]} {','.join(properties)}::{message}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
