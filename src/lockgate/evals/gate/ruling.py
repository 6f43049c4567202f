"""What a gate said of a run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.verdict import Outcome

RELIABILITY = "reliability"
"""Member of a ruling's details: the rows of a reliability table."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliable:
    """A row of a reliability table: cases of like confidence."""

    lower: float
    upper: float
    cases: int
    confidence: float
    """Mean of what was said."""
    accuracy: float
    """Share of what was right."""


def reliability_of(ruling: Ruling) -> Sequence[Reliable]:
    """Return the reliability table of a gate of calibration; nothing for others."""
    rows = ruling.details.get(RELIABILITY)
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        return ()
    return [
        Reliable(
            lower=_number(row["lower"]),
            upper=_number(row["upper"]),
            cases=int(_number(row["cases"])),
            confidence=_number(row["confidence"]),
            accuracy=_number(row["accuracy"]),
        )
        for row in rows
        if isinstance(row, Mapping)
    ]


def _number(value: Json) -> float:
    assert isinstance(value, int | float)
    return value
