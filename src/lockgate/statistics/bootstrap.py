"""Bootstrap intervals: percentile and BCa, of one sample or of rows of several columns.

Efron 1987, "Better bootstrap confidence intervals", JASA 82, 171-185; Efron and Tibshirani 1993,
"An Introduction to the Bootstrap", chapters 13 and 14.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from lockgate.errors import InvalidInput
from lockgate.statistics.intervals import Interval
from lockgate.statistics.samples import (
    Array,
    Numbers,
    checked_confidence,
    numbers,
    pairs,
)
from lockgate.statistics.special import normal_quantile, normal_tail

Places = npt.NDArray[np.intp]
Statistic = Callable[[Places], float]
"""Takes the places of the cases that count, with repetition; NaN where it is undefined."""

RESAMPLES: Final = 2_000
_MAX_RESAMPLES: Final = 1_000_000
_MAX_UNDEFINED: Final = 0.01
_MOST_LEFT_OUT: Final = 5_000
"""BCa leaves out each case once, at a square cost; its correction shrinks with the root of them."""


class Method(StrEnum):
    """How resampled values become an interval."""

    PERCENTILE = "bootstrap-percentile"
    BCA = "bootstrap-bca"
    """Corrects bias and skewness; wants a statistic that is smooth in each case. `bootstrap` takes
    percentiles instead beyond 5,000 cases."""


def bootstrap(
    statistic: Statistic,
    *,
    cases: int,
    seed: int,
    confidence: float = 0.95,
    method: Method = Method.BCA,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return an interval of a statistic of `cases` independent cases; the seed decides it.

    Raises:
        InvalidInput: the statistic is undefined on more than 1 % of the resamples.

    """
    if cases < 2:  # noqa: PLR2004
        raise InvalidInput(f"a bootstrap of `{cases}` cases says nothing, at least 2 are needed")
    draw = _draws(seed, resamples)
    values = np.array([statistic(draw.integers(0, cases, cases)) for _ in range(resamples)])
    defined = values[np.isfinite(values)]
    if defined.size < resamples * (1 - _MAX_UNDEFINED):
        raise InvalidInput(
            f"the statistic is undefined on {resamples - defined.size} of {resamples} resamples",
            hint="evaluate on more cases, of each class",
        )
    if method is Method.PERCENTILE or cases > _MOST_LEFT_OUT:
        return _percentile(defined, confidence)
    everything = np.arange(cases)
    left_out = np.array([statistic(np.delete(everything, i)) for i in range(cases)])
    return _bca(defined, confidence, seen=statistic(everything), left_out=left_out)


def bootstrap_mean(
    values: Numbers,
    *,
    seed: int,
    confidence: float = 0.95,
    method: Method = Method.BCA,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return a bootstrap interval of the mean.

    Raises:
        InvalidInput: fewer than 2 values, or one that is not finite.

    """
    row = numbers(values, "scores", least=2)
    means = _resampled_means(row, _draws(seed, resamples), resamples)
    if method is Method.PERCENTILE:
        return _percentile(means, confidence)
    left_out = (row.sum() - row) / (row.size - 1)
    return _bca(means, confidence, seen=float(row.mean()), left_out=left_out)


def paired_difference(
    candidate: Numbers,
    baseline: Numbers,
    *,
    seed: int,
    confidence: float = 0.95,
    method: Method = Method.BCA,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return an interval of the mean of candidate less baseline, drawn case by case.

    Raises:
        InvalidInput: the rows differ in length, or a value is not finite.

    """
    left, right = pairs(candidate, baseline)
    return bootstrap_mean(
        left - right, seed=seed, confidence=confidence, method=method, resamples=resamples
    )


def generator(seed: int) -> np.random.Generator:
    """Return the generator of a seed: the same numbers on every machine.

    Raises:
        InvalidInput: it is negative.

    """
    if seed < 0:
        raise InvalidInput(f"the seed `{seed}` is negative")
    return np.random.default_rng(seed)


def _draws(seed: int, resamples: int) -> np.random.Generator:
    if not 1 <= resamples <= _MAX_RESAMPLES:
        raise InvalidInput(f"`{resamples}` resamples are not between 1 and {_MAX_RESAMPLES}")
    return generator(seed)


def _resampled_means(row: Array, draw: np.random.Generator, resamples: int) -> Array:
    distinct, counts = np.unique(row, return_counts=True)
    if distinct.size * 8 < row.size:
        # The same distribution, without an index for every case: scores have few values.
        drawn = draw.multinomial(row.size, counts / row.size, size=resamples)
        means: Array = drawn @ distinct / row.size
        return means
    block = max(1, 2_000_000 // row.size)
    parts = [
        row[draw.integers(0, row.size, (min(block, resamples - at), row.size))].mean(axis=1)
        for at in range(0, resamples, block)
    ]
    return np.concatenate(parts)


def _percentile(resampled: Array, confidence: float) -> Interval:
    tail = (1 - checked_confidence(confidence)) / 2
    return _between(resampled, (tail, 1 - tail), confidence, Method.PERCENTILE)


def _bca(resampled: Array, confidence: float, *, seen: float, left_out: Array) -> Interval:
    tail = (1 - checked_confidence(confidence)) / 2
    # Ties count half, so that a statistic of few values is not called biased.
    below = float(np.mean(resampled < seen) + np.mean(resampled == seen) / 2)
    if not 0 < below < 1 or not np.isfinite(left_out).all():
        return _percentile(resampled, confidence)
    bias = normal_quantile(below)
    away = left_out.mean() - left_out
    spread = float((away**2).sum())
    skew = float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

    def level(p: float) -> float:
        # Efron and Tibshirani 1993, equation 14.10.
        z = bias + normal_quantile(p)
        return normal_tail(-(bias + z / (1 - skew * z)))

    return _between(resampled, (level(tail), level(1 - tail)), confidence, Method.BCA)


def _between(
    resampled: Array, levels: tuple[float, float], confidence: float, method: Method
) -> Interval:
    lower, upper = np.quantile(resampled, levels)
    return Interval(
        lower=float(lower), upper=float(upper), confidence=confidence, method=str(method)
    )
