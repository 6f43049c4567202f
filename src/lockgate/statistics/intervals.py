"""Confidence intervals of a proportion: exact, and by score.

Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the
binomial", Biometrika 26, 404-413; Wilson 1927, "Probable inference, the law of succession, and
statistical inference", JASA 22, 209-212; Tango 1998, "Equivalence test and confidence interval
for the difference in proportions for the paired-sample design", Statistics in Medicine 17,
891-908.
"""

import math
from dataclasses import dataclass
from typing import Final

from lockgate.domain.digest import Json
from lockgate.statistics.samples import checked_confidence, checked_counts
from lockgate.statistics.special import beta_quantile, normal_quantile

_STEPS: Final = 200
_NOTHING: Final = 1e-100
"""Squares of smaller differences are 0 in floating point, and their quotients nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A range for an unknown number."""

    lower: float
    upper: float
    confidence: float
    """Of both ends together: each end alone holds with (1 + confidence) / 2."""
    method: str

    @property
    def document(self) -> dict[str, Json]:
        return {
            "lower": self.lower if math.isfinite(self.lower) else None,
            "upper": self.upper if math.isfinite(self.upper) else None,
            "confidence": self.confidence,
            "method": self.method,
        }


def clopper_pearson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Return the exact interval of a proportion: covers at least as often as it says.

    Raises:
        InvalidInput: the counts are none, or the confidence is outside 0 to 1.

    """
    checked_counts(successes, trials)
    tail = (1 - checked_confidence(confidence)) / 2
    failures = trials - successes
    lower = beta_quantile(tail, successes, failures + 1) if successes else 0.0
    upper = 1 - beta_quantile(tail, failures, successes + 1) if failures else 1.0
    return Interval(lower=lower, upper=upper, confidence=confidence, method="clopper-pearson")


def wilson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion: covers as often as it says on average.

    Raises:
        InvalidInput: the counts are none, or the confidence is outside 0 to 1.

    """
    checked_counts(successes, trials)
    z = normal_quantile((1 + checked_confidence(confidence)) / 2)
    share, square = successes / trials, z * z / trials
    middle = (share + square / 2) / (1 + square)
    half = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials)) / (1 + square)
    return Interval(
        lower=max(0.0, middle - half) if successes else 0.0,
        upper=min(1.0, middle + half) if successes < trials else 1.0,
        confidence=confidence,
        method="wilson",
    )


def paired_score(difference: float, *, gains: int, losses: int, trials: int) -> float:
    """Return Tango's z of "the candidate's rate less the baseline's is `difference`".

    Positive where the data say more. 0 where nothing contradicts it.
    """
    if abs(difference) < _NOTHING:
        difference = 0.0
    # Equation 9: the likelihood's greatest value of P(loss) when the difference is fixed.
    a = 2.0 * trials
    b = -gains - losses + (2 * trials - gains + losses) * difference
    c = -losses * difference * (1 - difference)
    root = max(0.0, b * b - 4 * a * c)
    loss_rate = max(0.0, (math.sqrt(root) - b) / (2 * a))
    variance = trials * (2 * loss_rate + difference * (1 - difference))
    over = gains - losses - trials * difference
    if variance <= 0:
        return 0.0 if over == 0 else math.copysign(math.inf, over)
    return over / math.sqrt(variance)


def paired_rates(*, gains: int, losses: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return Tango's score interval of the difference of two rates on the same cases.

    Raises:
        InvalidInput: the counts are none, or the confidence is outside 0 to 1.

    """
    checked_counts(gains + losses, trials)
    checked_counts(gains, trials)
    checked_counts(losses, trials)
    z = normal_quantile((1 + checked_confidence(confidence)) / 2)
    seen = (gains - losses) / trials

    def end(outside: float, wanted: float) -> float:
        inside = seen
        for _ in range(_STEPS):
            middle = (inside + outside) / 2
            if middle in {inside, outside}:
                break
            score = paired_score(middle, gains=gains, losses=losses, trials=trials)
            if abs(score) < wanted:
                inside = middle
            else:
                outside = middle
        return outside

    return Interval(
        lower=end(-1.0, z), upper=end(1.0, z), confidence=confidence, method="tango-score"
    )
