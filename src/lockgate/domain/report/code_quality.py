"""Findings as a GitLab Code Quality report: a subset of the Code Climate specification.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from collections.abc import Mapping

from lockgate.domain.digest import Json
from lockgate.domain.finding import Severity
from lockgate.domain.report.document import Report

_SEVERITIES: Mapping[Severity, str] = {
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "minor",
}


def code_quality(report: Report) -> list[Json]:
    """Return one issue a finding. GitLab wants a line: findings about a file get its first."""
    return [
        {
            "description": finding.message,
            "check_name": finding.rule,
            "fingerprint": finding.fingerprint,
            "severity": _SEVERITIES[finding.severity],
            "location": {"path": finding.path, "lines": {"begin": finding.line or 1}},
        }
        for finding in report.findings
    ]
