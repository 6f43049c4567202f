"""The area under the ROC curve, with its interval.

Fawcett 2006, "An introduction to ROC analysis", Pattern Recognition Letters 27, 861-874 (the area
as a rank statistic, ties counted half); DeLong, DeLong and Clarke-Pearson 1988, "Comparing the
areas under two or more correlated receiver operating characteristic curves: a nonparametric
approach", Biometrics 44, 837-845; Sun and Xu 2014, "Fast implementation of DeLong's algorithm",
IEEE Signal Processing Letters 21, 1389-1393 (by midranks).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lockgate.errors import InvalidInput
from lockgate.statistics.intervals import Interval, clopper_pearson
from lockgate.statistics.ranks import midranks
from lockgate.statistics.samples import Array, Numbers, checked_confidence, numbers
from lockgate.statistics.special import normal_quantile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placements:
    """An area, and each case's part in it (DeLong's structural components)."""

    value: float
    of_positives: Array
    """The share of negatives that each positive scores above."""
    of_negatives: Array
    """The share of positives that each negative scores below."""
    least: float = 0.0
    """The least that the value can be: -1 for a difference of two areas."""

    @property
    def error(self) -> float:
        """The standard deviation of the value."""
        parts = (self.of_positives, self.of_negatives)
        return math.sqrt(sum(float(part.var(ddof=1)) / part.size for part in parts))

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return DeLong's interval; without spread, the exact one of independent pairs.

        As many pairs of a positive and a negative are independent as the smaller class has
        cases; a share of them at most may still be ordered otherwise.
        """
        tail = (1 - checked_confidence(confidence)) / 2
        if self.error <= 1e-12:  # noqa: PLR2004
            pairs = min(self.of_positives.size, self.of_negatives.size)
            unseen = clopper_pearson(0, pairs, confidence=confidence).upper
            lower = self.value - unseen * (self.value - self.least)
            upper = self.value + unseen * (1 - self.value)
            return Interval(lower=lower, upper=upper, confidence=confidence, method="unseen-share")
        half = normal_quantile(1 - tail) * self.error
        return Interval(
            lower=max(self.least, self.value - half),
            upper=min(1.0, self.value + half),
            confidence=confidence,
            method="delong",
        )


def auc(truth: Sequence[bool], scores: Numbers) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative.

    Raises:
        InvalidInput: only one class is there, a score is NaN, or the lengths differ.

    """
    return placements(truth, scores).value


def placements(truth: Sequence[bool], scores: Numbers) -> Placements:
    """Return the area under the ROC curve by cases.

    Raises:
        InvalidInput: only one class is there, a score is NaN, or the lengths differ.

    """
    row = numbers(scores, "scores")
    if len(truth) != row.size:
        raise InvalidInput(f"`{len(truth)}` labels, and `{row.size}` scores")
    positive = np.asarray(truth, dtype=bool)
    ups, downs = row[positive], row[~positive]
    if not ups.size or not downs.size:
        raise InvalidInput(
            f"`{ups.size}` positive and `{downs.size}` negative cases have no ROC curve",
            hint="evaluate on cases of both classes",
        )
    ranks = midranks(row)
    of_positives = (ranks[positive] - midranks(ups)) / downs.size
    of_negatives = 1 - (ranks[~positive] - midranks(downs)) / ups.size
    return Placements(
        value=float(of_positives.mean()), of_positives=of_positives, of_negatives=of_negatives
    )
