"""Two runs case by case: better, worse, new, fixed."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lockgate.evals.results import Outcome, Result

MAX_LISTED = 200
_EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class Change:
    """A case of both runs, or of one."""

    result: Result
    before: float | None
    """The base's score; None if the base does not have the case."""
    reason: str = ""


@dataclass(slots=True)
class Comparison:
    """Cases of the run by what happened to them. Counts are whole, lists are bounded."""

    fixed: list[Change] = field(default_factory=list)
    """Did not pass before, and pass."""
    worse: list[Change] = field(default_factory=list)
    """Passed before and do not, or score less."""
    better: list[Change] = field(default_factory=list)
    """Score more, and passed before or still fail."""
    new: list[Change] = field(default_factory=list)
    """Not in the base."""
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("fixed", "worse", "better", "new", "same", "gone"), 0
        )
    )
    base_total: int = 0
    base_passed: int = 0

    def note(self, kind: str, change: Change) -> None:
        """Count a change, and keep it while there is room."""
        self.counts[kind] += 1
        listed: list[Change] | None = getattr(self, kind, None)
        if listed is not None and len(listed) < MAX_LISTED:
            listed.append(change)


def compare(results: Iterator[Result], base: Iterator[Result]) -> Comparison:
    """Pair cases by their ids."""
    found = Comparison()
    before: dict[bytes, tuple[bool, float]] = {}
    for result in base:
        passed = result.outcome is Outcome.PASSED
        before[bytes.fromhex(result.id)] = passed, result.score
        found.base_total += 1
        found.base_passed += passed
    for result in results:
        old = before.pop(bytes.fromhex(result.id), None)
        if old is None:
            found.note("new", Change(result, None))
            continue
        passed = result.outcome is Outcome.PASSED
        change = Change(result, old[1])
        if passed and not old[0]:
            found.note("fixed", change)
        elif (old[0] and not passed) or result.score < old[1] - _EQUAL:
            found.note("worse", change)
        elif result.score > old[1] + _EQUAL:
            found.note("better", change)
        else:
            found.note("same", change)
    found.counts["gone"] = len(before)
    return found
