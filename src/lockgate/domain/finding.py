"""One thing that a reviewer should look at. Every report format is made from this type."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

_NUMBERED = re.compile(r"(<(?:secret|personal|injection):[a-z0-9-]+):[0-9]+>")


class Severity(IntEnum):
    """How much a finding matters. Ordered, so that `max` is the worst."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A judgement about one place of a change."""

    rule: str
    """Stable id, such as `dangerous-call.python.eval`."""
    severity: Severity
    message: str
    """One sentence: what was found and why it matters."""
    path: str
    line: int | None = None
    """1-based line in the new file; None for the file as a whole."""
    snippet: str = ""
    """The line itself, shortened; secrets are placeholders already."""
    occurrence: int = 0
    """Which of several equal findings (same rule, path and snippet) this is, from 0."""

    @property
    def likeness(self) -> tuple[str, str, str]:
        """What equal findings share. The numbers of secrets are left out: they follow the order."""
        text = _NUMBERED.sub(r"\1>", self.snippet)
        return self.rule, self.path, " ".join(text.split())

    @property
    def fingerprint(self) -> str:
        """32 hex digits that survive when lines move: no line number goes in."""
        parts = (*self.likeness, str(self.occurrence))
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleText:
    """What reports say of a rule."""

    id: str
    severity: Severity
    title: str
    help: str
    """What to do about a finding."""


def number(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Count equal findings, in the given order, so that each has a fingerprint of its own."""
    seen: Counter[tuple[str, str, str]] = Counter()
    numbered = []
    for finding in findings:
        key = finding.likeness
        numbered.append(replace(finding, occurrence=seen[key]))
        seen[key] += 1
    return tuple(numbered)
