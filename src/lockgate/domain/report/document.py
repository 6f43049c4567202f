"""What every report format is made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.domain.finding import Finding, RuleText, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An answer of findings, ready to be written down."""

    tool: str
    """What made it, such as `lockgate`."""
    version: str
    information: str
    """Name of the task, such as `review`."""
    risk: Severity
    score: int
    confidence: float
    summary: str
    findings: Sequence[Finding]
    rules: Sequence[RuleText]
    """Every rule that could have found something, those of the findings among them."""
    notices: Sequence[str] = ()
    """Why this is less than a whole review: what was left out, what did not answer."""
    engine: str = "rules"
    release: str = ""

    def help(self, rule: str) -> str:
        """Return what to do about a finding of the rule."""
        return next((r.help for r in self.rules if r.id == rule), "")
