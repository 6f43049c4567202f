"""What a gate said of a run."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.verdict import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The verdict on one metric of one column and slice."""

    name: str
    outcome: Outcome
    reason: str
    column: str = ""
    """Provider and prompt, where a run has several."""
    slice: str = ""
    """`language=go`."""
    samples: int = 0
    value: float | None = None
    reference: float | None = None
    interval: tuple[float, float] | None = None
    """Of the value, at the gate's confidence."""
    details: JsonObject = field(default_factory=dict)
    sampled: bool = False
    """Whether only a part of the suite's cases ran."""
    line: int = 0
    """Of the gate, in the suite or the policy."""

    @property
    def title(self) -> str:
        """The name with its column and slice."""
        parts = [part for part in (self.column, self.slice) if part]
        return f"{self.name} [{', '.join(parts)}]" if parts else self.name

    @property
    def verdict(self) -> str:
        """`pass`, `fail` or `inconclusive`."""
        return self.outcome.name.lower()

    @property
    def document(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "column": self.column,
            "slice": self.slice,
            "verdict": self.verdict,
            "reason": self.reason,
            "samples": self.samples,
            "sampled": self.sampled,
            "value": self.value,
            "reference": self.reference,
            "interval": None if self.interval is None else list(self.interval),
            "details": dict(self.details),
        }


def worst_of(rulings: Iterable[Ruling]) -> Outcome:
    """Return the worst outcome; a pass where nothing was asked."""
    return max((ruling.outcome for ruling in rulings), default=Outcome.PASS)
