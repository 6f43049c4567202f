"""Runs the analysers over a change. To add one: write it in `analysers`, and list it here."""

from lockgate.domain.finding import Finding, number
from lockgate.tasks.review.analysers.dangerous_calls import DangerousCalls
from lockgate.tasks.review.analysers.secrets import SecretsAdded
from lockgate.tasks.review.analysers.size import Size
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.rule import Analyser, Rule

MAX_FINDINGS = 1_000


def analysers() -> tuple[Analyser, ...]:
    """Return every analyser, new; each compiles its patterns at the first use."""
    return (SecretsAdded(), DangerousCalls(), Size())


class Analysis:
    """All analysers with their rules."""

    def __init__(self) -> None:
        self.analysers = analysers()
        self.rules: dict[str, Rule] = {r.id: r for a in self.analysers for r in a.rules}

    def findings(self, change: Change) -> tuple[tuple[Finding, ...], int]:
        """Return the findings, worst first, then by place; and how many more there were."""
        found = [finding for analyser in self.analysers for finding in analyser.find(change)]
        order = {file.path: at for at, file in enumerate(change.files)}
        found.sort(key=lambda f: (-f.severity, order.get(f.path, len(order)), f.line or 0, f.rule))
        return number(found[:MAX_FINDINGS]), max(0, len(found) - MAX_FINDINGS)
