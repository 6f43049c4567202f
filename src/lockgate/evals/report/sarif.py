"""A run as SARIF 2.1.0 (OASIS, sections 3.13 to 3.58): each case that did not pass is a result.

A location is the line of the case. A run that did not do all of its work says so in
`executionSuccessful` (section 3.20.14), and why in its notifications.
"""

import json
from collections.abc import Iterator
from urllib.parse import quote

from lockgate.domain.digest import Json
from lockgate.domain.report.sarif import SCHEMA
from lockgate.domain.verdict import Outcome as Ruled
from lockgate.evals.gate.ruling import Ruling
from lockgate.evals.report.document import TOOL, Report
from lockgate.evals.results import Outcome, Result
from lockgate.evals.summary import MAX_KEPT

MAX_RESULTS = 25_000
"""What code scanning takes of one run."""
_ERROR_RULE = "eval.error"
_SET = "assert-set"
_MAX_MESSAGE = 1_000


def sarif(report: Report) -> Iterator[str]:
    """Yield the log."""
    summary = report.summary
    results: list[Json] = []
    rules: dict[str, Json] = {}
    left_out = 0
    for result in report.results():
        if result.outcome is Outcome.PASSED:
            continue
        if len(results) >= MAX_RESULTS:
            left_out += 1
            continue
        rule = _rule_of(result)
        rules.setdefault(rule, _rule(rule))
        results.append(_result(result, rule))
    for ruling in summary.rulings:
        if ruling.outcome is not Ruled.PASS:
            rule = f"gate.{ruling.name}"
            rules.setdefault(rule, _gate_rule(rule, ruling))
            results.append(_gate(report, ruling, rule))
    notifications = _notifications(report, left_out)
    index = {rule: at for at, rule in enumerate(sorted(rules))}
    for entry in results:
        assert isinstance(entry, dict)
        entry["ruleIndex"] = index[str(entry["ruleId"])]
    run: dict[str, Json] = {
        "tool": {
            "driver": {
                "name": TOOL,
                "version": report.version,
                "rules": [rules[rule] for rule in sorted(rules)],
            }
        },
        "automationDetails": {"id": f"{TOOL}/eval/{report.suite}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": summary.successful,
                "exitCode": summary.exit_code,
                "exitCodeDescription": str(summary.status),
                "toolExecutionNotifications": notifications,
            }
        ],
        "results": results,
        "properties": {"summary": summary.document},
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    yield json.dumps(log, ensure_ascii=False, indent=1, sort_keys=True)
    yield "\n"


def _notifications(report: Report, left_out: int) -> list[Json]:
    """Say what kept the run from being whole (section 3.20.21)."""
    summary = report.summary
    notifications: list[Json] = [
        {
            "level": "error",
            "message": {"text": f"line {b.place.line}: {b.problem}"[:_MAX_MESSAGE]},
            "locations": [_place(b.place.path, b.place.line)],
        }
        for b in summary.broken[:MAX_KEPT]
    ]
    told = len(summary.broken)
    notifications += [
        {"level": "warning", "message": {"text": text[:_MAX_MESSAGE]}}
        for text in [*report.warnings()[told:], *report.notices]
    ]
    if summary.errors:
        faults = ", ".join(f"{count} {fault}" for fault, count in sorted(summary.faults.items()))
        notifications.append(
            {
                "level": "error",
                "message": {"text": f"{summary.errors} case(s) ended in an error: {faults}"},
            }
        )
    if not summary.total and not summary.untouched:
        notifications.append({"level": "error", "message": {"text": "no case ran"}})
    if left_out:
        notifications.append(
            {"level": "warning", "message": {"text": f"{left_out} more result(s) are left out"}}
        )
    return notifications


def _rule_of(result: Result) -> str:
    """Return the type of the first assertion that failed, as a rule."""
    if result.outcome is Outcome.ERROR:
        return f"{_ERROR_RULE}.{result.fault}"
    failed = [str(a["type"]) for a in result.assertions if not a["passed"]]
    named = [kind for kind in failed if kind != _SET] or failed
    return f"eval.{named[0] if named else 'threshold'}"


def _rule(rule: str) -> Json:
    kind = rule.partition(".")[2]
    text = (
        f"The case could not be graded ({kind.partition('.')[2]})"
        if rule.startswith(_ERROR_RULE)
        else f"The assertion `{kind}` does not hold of the answer"
    )
    return {
        "id": rule,
        "shortDescription": {"text": f"{text}."},
        "fullDescription": {"text": f"{text}."},
        "defaultConfiguration": {"level": "error"},
    }


def _gate_rule(rule: str, ruling: Ruling) -> Json:
    text = f"The gate `{ruling.name}` of the suite does not pass."
    return {
        "id": rule,
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "defaultConfiguration": {"level": "error"},
    }


def _gate(report: Report, ruling: Ruling, rule: str) -> dict[str, Json]:
    """Return a gate that did not pass; one that is not sure is a warning."""
    failed = ruling.outcome is Ruled.FAIL
    text = f"{ruling.title}: {ruling.verdict}: {ruling.reason}"
    return {
        "ruleId": rule,
        "level": "error" if failed else "warning",
        "message": {"text": text[:_MAX_MESSAGE]},
        "locations": [_place(report.gate_file or report.suite, ruling.line)],
        "partialFingerprints": {"lockgate/eval/v1": f"gate {ruling.title}"},
        "properties": {"verdict": ruling.verdict},
    }


def _result(result: Result, rule: str) -> dict[str, Json]:
    return {
        "ruleId": rule,
        "level": "error",
        "message": {"text": f"{result.name} ({result.provider}): {result.reason}"[:_MAX_MESSAGE]},
        "locations": [_place(result.path, result.line)],
        "partialFingerprints": {"lockgate/eval/v1": result.id},
        "properties": {"score": result.score},
    }


def _place(path: str, line: int) -> Json:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(path, safe="/"), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": max(1, line)},
        }
    }
