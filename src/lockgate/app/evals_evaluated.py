"""What a finished evaluation comes to, bound to what it is about: what a signer attests."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from lockgate.domain.digest import Digest, Json
from lockgate.evals.gate.ruling import Ruling
from lockgate.evals.report.document import Report
from lockgate.evals.results import line_of
from lockgate.evals.summary import Status

RELEASE = "release "
"""Digests of what answered stand in a report under this and the provider's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """The results of a run with the digests of all that they depend on."""

    suite: str
    """Its path, or the name of the task."""
    suite_digest: Digest
    dataset: Digest
    """Of what was asked, in any order, whoever answered."""
    harness: Digest
    """Of this program's code."""
    harness_version: str
    releases: Mapping[str, Digest]
    """By provider id; empty where only `echo` answered."""
    results: Digest
    """Of the results, line by line in the suite's order."""
    status: Status
    cases: int
    passed: int
    failed: int
    errors: int
    skipped: int
    """Cases that did not run: the numbers are those of a sample."""
    degraded: bool
    metrics: Mapping[str, float]
    verdicts: tuple[Ruling, ...]

    @property
    def document(self) -> dict[str, Json]:
        return {
            "suite": self.suite,
            "digests": {
                "suite": str(self.suite_digest),
                "dataset": str(self.dataset),
                "harness": str(self.harness),
                "results": str(self.results),
            },
            "harness_version": self.harness_version,
            "releases": {name: str(digest) for name, digest in sorted(self.releases.items())},
            "status": str(self.status),
            "cases": self.cases,
            "passed": self.passed,
            "failed": self.failed,
            "errors": self.errors,
            "skipped": self.skipped,
            "degraded": self.degraded,
            "metrics": dict(sorted(self.metrics.items())),
            "verdicts": [ruling.document for ruling in self.verdicts],
        }


def evaluated(report: Report) -> Evaluated:
    """Return what a report's run comes to; its results are read once more for their digest."""
    digests = report.digests()
    summary = report.summary
    hasher = hashlib.sha256()
    for result in report.results():
        hasher.update(line_of(result))
    return Evaluated(
        suite=report.suite,
        suite_digest=Digest.parse(digests["suite"]),
        dataset=summary.dataset,
        harness=Digest.parse(digests["harness"]),
        harness_version=report.version,
        releases={
            name.removeprefix(RELEASE): Digest.parse(digest)
            for name, digest in digests.items()
            if name.startswith(RELEASE)
        },
        results=Digest(hasher.hexdigest()),
        status=summary.status,
        cases=summary.total,
        passed=summary.passed,
        failed=summary.failed,
        errors=summary.errors,
        skipped=summary.skipped,
        degraded=summary.is_degraded,
        metrics=summary.metrics(),
        verdicts=tuple(summary.rulings),
    )
