"""Quantiles, with bounds that hold for any continuous distribution.

David and Nagaraja 2003, "Order Statistics", section 7.1: the number of values below the
q-quantile is binomial, so two order statistics bound it exactly.
"""

import math
from typing import Final

import numpy as np

from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import RESAMPLES, Method, generator
from lockgate.statistics.intervals import Interval
from lockgate.statistics.samples import Array, Numbers, checked_confidence, numbers
from lockgate.statistics.special import binomial_upper_tail

_BLOCK: Final = 2_000_000


def quantile_interval(values: Numbers, q: float, *, confidence: float = 0.95) -> Interval:
    """Return order statistics around the q-quantile; infinite where the sample is too small.

    Each end holds with (1 + confidence) / 2 or more.

    Raises:
        InvalidInput: no values, one that is not finite, or a q outside 0 to 1.

    """
    row = np.sort(numbers(values, "values"))
    tail = (1 - checked_confidence(confidence)) / 2
    below = _greatest_rank(row.size, checked_quantile(q), tail)
    above = _greatest_rank(row.size, 1 - q, tail)
    return Interval(
        lower=float(row[below - 1]) if below else -math.inf,
        upper=float(row[row.size - above]) if above else math.inf,
        confidence=confidence,
        method="order-statistics",
    )


def least_samples(q: float, *, confidence: float) -> int:
    """Return how many values bound the q-quantile on both sides.

    For the 95th percentile at 0.9 they are 59.
    """
    tail = (1 - checked_confidence(confidence)) / 2
    nearer = max(checked_quantile(q), 1 - q)
    return math.ceil(math.log(tail) / math.log(nearer) - 1e-9)


def ratio_interval(
    candidate: Array, baseline: Array, q: float, *, confidence: float, seed: int, paired: bool
) -> Interval:
    """Return a bootstrap interval of the candidate's q-quantile by the baseline's.

    Paired, both are resampled by case, so that a case's own difficulty cancels out. Resampled
    baselines whose quantile is 0 count as infinite ratios.
    """
    draw = generator(seed)
    ratios = np.empty(RESAMPLES)
    block = max(1, _BLOCK // max(candidate.size, baseline.size))
    for at in range(0, RESAMPLES, block):
        rows = min(block, RESAMPLES - at)
        left = draw.integers(0, candidate.size, (rows, candidate.size))
        right = left if paired else draw.integers(0, baseline.size, (rows, baseline.size))
        above = np.quantile(candidate[left], q, axis=1)
        under = np.quantile(baseline[right], q, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios[at : at + rows] = np.where(under > 0, above / under, np.inf)
    tail = (1 - checked_confidence(confidence)) / 2
    lower, upper = np.quantile(ratios, (tail, 1 - tail), method="closest_observation")
    return Interval(
        lower=float(lower),
        upper=float(upper),
        confidence=confidence,
        method=str(Method.PERCENTILE),
    )


def checked_quantile(q: float) -> float:
    """Return a q strictly between 0 and 1.

    Raises:
        InvalidInput: it is outside.

    """
    if not 0 < q < 1:
        raise InvalidInput(f"the quantile `{q}` is not between 0 and 1", hint="p95 is 0.95")
    return q


def _greatest_rank(n: int, q: float, tail: float) -> int:
    """Return the greatest r with P(at most r - 1 values lie below the q-quantile) <= tail."""
    low, high = 0, n + 1
    while high - low > 1:
        rank = (low + high) // 2
        if 1 - binomial_upper_tail(rank, n, q) <= tail:
            low = rank
        else:
            high = rank
    return low
