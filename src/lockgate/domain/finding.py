"""One thing that a reviewer should look at. Every report format is made from this type."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum


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
    def fingerprint(self) -> str:
        """32 hex digits that survive when lines move: no line number goes in."""
        parts = (self.rule, self.path, " ".join(self.snippet.split()), str(self.occurrence))
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
