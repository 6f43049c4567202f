"""What a look at drift found, as text, JSON, SARIF and JUnit, and its exit code."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias
from xml.sax.saxutils import quoteattr

from lockgate.app.drift_features import Feature
from lockgate.domain.digest import Json
from lockgate.domain.report.sarif import SCHEMA
from lockgate.domain.verdict import Outcome
from lockgate.errors import UsageError
from lockgate.statistics.gate import GateResult

TOOL: Final = "lockgate"
FORMAT: Final = 1


class Status(StrEnum):
    """How a look ended; words and exit codes are those of `lockgate eval`."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOTHING_RAN = "nothing-ran"
    DEGRADED = "degraded"


EXIT_CODES: Final[Mapping[Status, int]] = {
    Status.PASSED: 0,
    Status.FAILED: 100,
    Status.INCONCLUSIVE: 101,
    Status.NOTHING_RAN: 102,
    Status.DEGRADED: 105,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One feature of now against the reference."""

    feature: Feature
    result: GateResult
    psi: float | None = None
    ks: float | None = None
    ks_p: float | None = None
    wasserstein: float | None = None
    mmd: float | None = None
    nights_p: float | None = None
    """Of "nothing has drifted on any night so far"."""
    changed: str = ""
    """The categories that moved most."""

    @property
    def document(self) -> dict[str, Json]:
        return {
            "feature": self.feature.name,
            "kind": str(self.feature.kind),
            "psi": self.psi,
            "ks": self.ks,
            "ks_p_value": self.ks_p,
            "wasserstein": self.wasserstein,
            "mmd": self.mmd,
            "nights_p_value": self.nights_p,
            "changed": self.changed,
            "verdict": self.result.document,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """A finished look."""

    task: str
    version: str
    reference_rows: int
    current_rows: int
    night: int
    """Which look since the reference was taken; 0: there is no state, this is the only one."""
    compared: Sequence[Compared]
    stale: Sequence[str] = ()
    warnings: Sequence[str] = ()
    begun: bool = False
    """Whether this look only took the reference."""

    @property
    def failed(self) -> list[Compared]:
        return [one for one in self.compared if one.result.outcome is Outcome.FAIL]

    @property
    def status(self) -> Status:
        if not self.compared and not self.stale:
            return Status.NOTHING_RAN
        if self.failed or self.stale:
            return Status.FAILED
        if self.warnings:
            return Status.DEGRADED
        if any(one.result.outcome is not Outcome.PASS for one in self.compared):
            return Status.INCONCLUSIVE
        return Status.PASSED

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    @property
    def document(self) -> dict[str, Json]:
        return {
            "format": FORMAT,
            "tool": {"name": TOOL, "version": self.version},
            "task": self.task,
            "status": str(self.status),
            "exit_code": self.exit_code,
            "reference_rows": self.reference_rows,
            "current_rows": self.current_rows,
            "night": self.night,
            "begun": self.begun,
            "stale": list(self.stale),
            "warnings": list(self.warnings),
            "features": [one.document for one in self.compared],
        }


def as_json(report: DriftReport) -> Iterator[str]:
    """Yield everything as one JSON object."""
    yield json.dumps(report.document, ensure_ascii=True, indent=1)
    yield "\n"


def markdown(report: DriftReport) -> Iterator[str]:
    """Yield a page: what moved first."""
    yield f"## Drift of `{report.task}`: {report.status}\n\n"
    yield f"{report.current_rows} call(s) now, {report.reference_rows} in the reference"
    yield f", night {report.night}.\n" if report.night else ", a single look.\n"
    for text in report.stale:
        yield f"\n> [!WARNING]\n> {_cell(text)}\n"
    yield "\n| feature | verdict | PSI | KS | Wasserstein | MMD | all nights |\n"
    yield "|---|---|---:|---:|---:|---:|---:|\n"
    for one in sorted(report.compared, key=lambda c: (-c.result.outcome, c.feature.name)):
        numbers = (one.psi, one.ks, one.wasserstein, one.mmd)
        cells = " | ".join("" if n is None else f"{n:.4g}" for n in numbers)
        nights = "" if one.nights_p is None else f"p {one.nights_p:.2g}"
        yield f"| {_cell(one.feature.name)} | {one.result.outcome.name.lower()} | {cells} "
        yield f"| {nights} |\n"


def junit(report: DriftReport) -> Iterator[str]:
    """Yield JUnit XML: a case a feature, and one a thing that may be stale."""
    failed = len(report.failed) + len(report.stale)
    rest = [one for one in report.compared if one.result.outcome is Outcome.INCONCLUSIVE]
    total = len(report.compared) + len(report.stale)
    counts = f'tests="{total}" failures="{failed}" errors="0" skipped="{len(rest)}"'
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f"<testsuites {counts}>\n"
    yield f" <testsuite name={_attribute(f'drift of {report.task}')} {counts}>\n"
    for one in report.compared:
        yield f"  <testcase name={_attribute(one.feature.name)} classname={_attribute(report.task)}"
        kind = _JUNIT.get(one.result.outcome)
        yield (
            "/>\n"
            if kind is None
            else (f"><{kind} message={_attribute(one.result.reason)}/></testcase>\n")
        )
    for text in report.stale:
        yield f'  <testcase name="staleness" classname={_attribute(report.task)}>'
        yield f"<failure message={_attribute(text)}/></testcase>\n"
    yield " </testsuite>\n</testsuites>\n"


_JUNIT: Final[Mapping[Outcome, str]] = {Outcome.FAIL: "failure", Outcome.INCONCLUSIVE: "skipped"}


def sarif(report: DriftReport) -> Iterator[str]:
    """Yield SARIF 2.1.0: a result a feature that drifted, and one a thing that is stale."""
    texts = [("drift.feature", one.result.reason, one.feature.name) for one in report.failed]
    texts += [("drift.stale", text, "staleness") for text in report.stale]
    run: dict[str, Json] = {
        "tool": {
            "driver": {
                "name": TOOL,
                "version": report.version,
                "rules": [
                    {"id": "drift.feature", "shortDescription": {"text": "A feature drifted."}},
                    {"id": "drift.stale", "shortDescription": {"text": "Data are stale."}},
                ],
            }
        },
        "automationDetails": {"id": f"{TOOL}/drift/{report.task}/"},
        "invocations": [
            {
                "executionSuccessful": report.status not in {Status.NOTHING_RAN, Status.DEGRADED},
                "exitCode": report.exit_code,
                "exitCodeDescription": str(report.status),
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": text}} for text in report.warnings
                ],
            }
        ],
        "results": [
            {
                "ruleId": rule,
                "level": "error",
                "message": {"text": text},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {
                                "uri": "lockgate.toml",
                                "uriBaseId": "%SRCROOT%",
                            },
                            "region": {"startLine": 1},
                        },
                        "logicalLocations": [{"fullyQualifiedName": f"{report.task}/{name}"}],
                    }
                ],
                "partialFingerprints": {"lockgate/drift/v1": f"{report.task}/{name}"},
            }
            for rule, text, name in texts
        ],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    yield json.dumps(log, ensure_ascii=True, indent=1, sort_keys=True)
    yield "\n"


Write: TypeAlias = Callable[[DriftReport], Iterator[str]]
_ENDINGS: Final[Mapping[str, Write]] = {
    ".json": as_json,
    ".md": markdown,
    ".xml": junit,
    ".sarif": sarif,
}


def writer_of(path: Path) -> Write:
    """Return what writes the form that a file's name asks for.

    Raises:
        UsageError: no form has that ending.

    """
    write = _ENDINGS.get(path.suffix.lower())
    if write is None:
        raise UsageError(
            f"`{path}` names no kind of report", hint=f"names end in {', '.join(_ENDINGS)}"
        )
    return write


def _attribute(text: str) -> str:
    clean = "".join(c if c.isprintable() or c == " " else "\ufffd" for c in text)
    return quoteattr(clean)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("`", "'").split())
