"""Runs the analysers over a change. To add one: write it in `analysers`, and list it here."""

from collections import Counter

from lockgate.domain.finding import Finding, number
from lockgate.tasks.review.analysers.authentication import Authentication
from lockgate.tasks.review.analysers.dangerous_calls import DangerousCalls
from lockgate.tasks.review.analysers.dependencies import Dependencies
from lockgate.tasks.review.analysers.hidden import Hidden
from lockgate.tasks.review.analysers.infrastructure import Infrastructure
from lockgate.tasks.review.analysers.migrations import Migrations
from lockgate.tasks.review.analysers.pipelines import Pipelines
from lockgate.tasks.review.analysers.secrets import SecretsAdded
from lockgate.tasks.review.analysers.size import Size
from lockgate.tasks.review.analysers.weakened_tests import WeakenedTests
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.rule import Analyser, Rule

MAX_FINDINGS = 1_000
MAX_ALIKE = 100
"""Findings of one rule in one file."""


def analysers() -> tuple[Analyser, ...]:
    """Return every analyser, new; each compiles its patterns at the first use."""
    return (
        SecretsAdded(),
        DangerousCalls(),
        Authentication(),
        Pipelines(),
        Dependencies(),
        Migrations(),
        Infrastructure(),
        WeakenedTests(),
        Hidden(),
        Size(),
    )


class Analysis:
    """All analysers with their rules."""

    def __init__(self) -> None:
        self.analysers = analysers()
        self.rules: dict[str, Rule] = {r.id: r for a in self.analysers for r in a.rules}

    def findings(self, change: Change) -> tuple[tuple[Finding, ...], int]:
        """Return the findings, worst first, then by place; and how many more there were."""
        found: list[Finding] = []
        more = 0
        times: Counter[tuple[str, str]] = Counter()
        for analyser in self.analysers:
            for finding in analyser.find(change):
                times[finding.rule, finding.path] += 1
                if times[finding.rule, finding.path] > MAX_ALIKE:
                    more += 1
                else:
                    found.append(finding)
        order = {file.path: at for at, file in enumerate(change.files)}
        found.sort(key=lambda f: (-f.severity, order.get(f.path, len(order)), f.line or 0, f.rule))
        return number(found[:MAX_FINDINGS]), more + max(0, len(found) - MAX_FINDINGS)
