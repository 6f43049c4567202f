"""Findings as SARIF 2.1.0 (OASIS, sections 3.13 to 3.58), one run, for code scanning."""

from collections.abc import Mapping
from urllib.parse import quote

from lockgate.domain.digest import Json
from lockgate.domain.finding import Finding, RuleText, Severity
from lockgate.domain.report.document import Report

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
FINGERPRINT = "lockgate/v1"
"""Key in `partialFingerprints`; the number changes when the fingerprint's recipe does."""
_LEVELS: Mapping[Severity, str] = {
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
# GitHub reads `security-severity` as a CVSS score: over 7.0 is high, over 4.0 is medium.
_CVSS: Mapping[Severity, str] = {Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "3.0"}


def sarif(report: Report) -> dict[str, Json]:
    """Return a SARIF log. What was left out stands in the invocation's notifications."""
    rules = sorted(report.rules, key=lambda rule: rule.id)
    index = {rule.id: at for at, rule in enumerate(rules)}
    notifications: list[Json] = [
        {"level": "warning", "message": {"text": notice}} for notice in report.notices
    ]
    run: dict[str, Json] = {
        "tool": {
            "driver": {
                "name": report.tool,
                "version": report.version,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "automationDetails": {"id": f"{report.tool}/{report.information}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
        "results": [_result(finding, index) for finding in report.findings],
        "properties": {
            "risk": report.risk.name.lower(),
            "score": report.score,
            "confidence": report.confidence,
            "summary": report.summary,
            "engine": report.engine,
            "release": report.release,
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: RuleText) -> dict[str, Json]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title} {rule.help}"},
        "help": {"text": rule.help, "markdown": rule.help},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {
            "tags": ["security", rule.id.partition(".")[0]],
            "security-severity": _CVSS[rule.severity],
        },
    }


def _result(finding: Finding, index: Mapping[str, int]) -> dict[str, Json]:
    # A relative reference: percent-encoded (RFC 3986 section 2.1), `:` too, which in the first
    # segment would end a scheme (section 4.2).
    uri = quote(finding.path, safe="/")
    place: dict[str, Json] = {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}}
    if finding.line is not None:
        region: dict[str, Json] = {"startLine": finding.line}
        if finding.snippet:
            region["snippet"] = {"text": finding.snippet}
        place["region"] = region
    result: dict[str, Json] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
    }
    if finding.rule in index:
        result["ruleIndex"] = index[finding.rule]
    return result
