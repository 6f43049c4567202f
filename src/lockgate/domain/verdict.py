"""What a check says about an answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Outcome(IntEnum):
    """Ordered from best to worst, so that `max` is the outcome of several checks."""

    PASS = 0
    INCONCLUSIVE = 1
    FAIL = 2
    ERROR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One check's judgement, with the reason that a person needs to act on it."""

    check: str
    outcome: Outcome
    reason: str = ""


def worst(verdicts: Iterable[Verdict]) -> Outcome:
    """Return the worst outcome. No verdicts is a pass: nothing was asked."""
    return max((v.outcome for v in verdicts), default=Outcome.PASS)
