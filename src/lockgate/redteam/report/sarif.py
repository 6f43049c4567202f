"""A run as SARIF 2.1.0 (OASIS, sections 3.13 to 3.58): each attack that came through is a result.

The rule is the family, its security severity that of the family's rate. A run that did not do all
of its work says so in `executionSuccessful` (section 3.20.14).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from lockgate.domain.digest import Json
from lockgate.domain.report.sarif import SCHEMA
from lockgate.redteam.families import OWASP
from lockgate.redteam.report.document import TOOL, Report
from lockgate.redteam.results import FamilyResult, Severity, Status, Trial

MAX_RESULTS: Final = 25_000
# GitHub reads `security-severity` as a CVSS score.
_CVSS: Final[Mapping[Severity, str]] = {
    Severity.NONE: "0.0",
    Severity.LOW: "3.0",
    Severity.MEDIUM: "5.5",
    Severity.HIGH: "8.0",
    Severity.CRITICAL: "9.5",
}
_WHOLE: Final = frozenset({Status.PASSED, Status.FAILED, Status.INCONCLUSIVE})


def sarif(report: Report) -> Iterator[str]:
    """Yield the log."""
    index = {result.family.id: at for at, result in enumerate(report.families)}
    through = report.succeeded
    notes = [*report.warnings]
    if len(through) > MAX_RESULTS:
        notes.append(f"{len(through) - MAX_RESULTS} more result(s) are left out")
    run: dict[str, Json] = {
        "tool": {
            "driver": {
                "name": TOOL,
                "version": report.version,
                "rules": [_rule(result) for result in report.families],
            }
        },
        "automationDetails": {"id": f"{TOOL}/redteam/{report.task}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": report.status in _WHOLE,
                "exitCode": report.exit_code,
                "exitCodeDescription": str(report.status),
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": report.shown(text)}} for text in notes
                ],
            }
        ],
        "results": [_result(report, trial, index) for trial in through[:MAX_RESULTS]],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    yield json.dumps(log, ensure_ascii=True, indent=1, sort_keys=True)
    yield "\n"


def _rule(result: FamilyResult) -> Json:
    family = result.family
    lower, upper = result.rate.interval
    return {
        "id": f"redteam.{family.id}",
        "shortDescription": {"text": f"{family.title}."},
        "fullDescription": {
            "text": f"{family.title} ({family.owasp}: {OWASP[family.owasp]}). "
            f"{result.rate.succeeded} of {result.rate.attacks} attacks reached it, "
            f"{lower:.1%} to {upper:.1%} at 95 % confidence."
        },
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "security-severity": _CVSS[result.rate.severity],
            "tags": ["security", family.owasp],
        },
    }


def _result(report: Report, trial: Trial, index: Mapping[str, int]) -> Json:
    attack, first = trial.attack, trial.hits[0]
    return {
        "ruleId": f"redteam.{attack.family}",
        "ruleIndex": index[attack.family],
        "level": "error",
        "message": {
            "text": f"{first.detector} by way of `{attack.surface}`: {report.shown(first.reason)}"
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {
                        "uri": quote(report.place, safe="/"),
                        "uriBaseId": "%SRCROOT%",
                    },
                    "region": {"startLine": 1},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": f"{report.task}/{attack.surface}", "kind": "member"}
                ],
            }
        ],
        "partialFingerprints": {"lockgate/redteam/v1": attack.id},
    }
