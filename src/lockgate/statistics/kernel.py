"""Drift of vectors, such as embeddings: maximum mean discrepancy by random Fourier features.

Gretton et al. 2012, "A kernel two-sample test", JMLR 13, 723-773; Rahimi and Recht 2007, "Random
features for large-scale kernel machines", NIPS 20; Phipson and Smyth 2010, SAGMB 9:39.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import generator
from lockgate.statistics.intervals import Interval
from lockgate.statistics.samples import Array, checked_confidence, matrix
from lockgate.statistics.special import normal_quantile

FEATURES: Final = 128
PERMUTATIONS: Final = 500
_SAMPLED: Final = 300
"""Rows that the bandwidth is taken from."""

Rows = Sequence[Sequence[float]] | Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """The distance of two samples' mean features: 0 where nothing moved, at most sqrt(2)."""

    value: float
    p_value: float
    """Of "both are of the same law", by permutation."""
    noise: float
    """The value that noise alone gives at most, on average."""
    error: float
    """Standard deviation of the mean features in the direction where it is greatest."""
    bandwidth: float
    reference: int
    current: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return an interval of the distance without noise.

        Noise makes a distance longer on average, by at most `noise`; and a norm moves no more
        than its vector does, so that `error` bounds its deviation. By the normal law of means.
        """
        z = normal_quantile((1 + checked_confidence(confidence)) / 2)
        return Interval(
            lower=max(0.0, self.value - self.noise - z * self.error),
            upper=self.value + z * self.error,
            confidence=confidence,
            method="norm-of-means",
        )


def mmd(
    reference: Rows,
    current: Rows,
    *,
    seed: int,
    bandwidth: float | None = None,
    permutations: int = PERMUTATIONS,
) -> Discrepancy:
    """Return the discrepancy under a Gaussian kernel; the seed draws features and permutations.

    Without `bandwidth` the kernel's is the median distance of the reference's rows, so that
    nights with the same reference and seed are measured alike.

    Raises:
        InvalidInput: rows differ in length, hold NaN, or are all the same.

    """
    before, now = matrix(reference, "reference"), matrix(current, "current")
    if before.shape[1] != now.shape[1]:
        raise InvalidInput(
            f"the reference has {before.shape[1]} dimensions, the current {now.shape[1]}",
            hint="embed both with the same model",
        )
    if permutations < 1:
        raise InvalidInput(f"`{permutations}` permutations are no test")
    draw = generator(seed)
    width = median_distance(before, draw) if bandwidth is None else bandwidth
    if not 0 < width < math.inf:
        raise InvalidInput(f"the bandwidth is `{width}`: the rows of the reference are all alike")
    mapped = _features(np.concatenate([before, now]), width, draw)
    n = before.shape[0]
    value = _distance(mapped, n)
    spread = [np.cov(part.T, bias=False) / len(part) for part in (mapped[:n], mapped[n:])]
    covariance = spread[0] + spread[1]
    return Discrepancy(
        value=value,
        p_value=_permuted(mapped, n, value, draw, permutations),
        noise=math.sqrt(max(0.0, float(np.trace(covariance)))),
        error=math.sqrt(max(0.0, float(np.linalg.eigvalsh(covariance)[-1]))),
        bandwidth=width,
        reference=n,
        current=now.shape[0],
    )


def median_distance(rows: Array, draw: np.random.Generator) -> float:
    """Return the median distance between at most 300 of the rows."""
    some = rows if len(rows) <= _SAMPLED else rows[draw.choice(len(rows), _SAMPLED, replace=False)]
    squares = (some**2).sum(axis=1)
    between = squares[:, None] + squares[None, :] - 2 * some @ some.T
    upper = between[np.triu_indices(len(some), 1)]
    return math.sqrt(max(0.0, float(np.median(upper))))


def _features(rows: Array, width: float, draw: np.random.Generator) -> Array:
    """Map rows so that inner products are near the kernel exp(-|x - y|^2 / (2 width^2))."""
    frequencies = draw.normal(0, 1 / width, (rows.shape[1], FEATURES))
    phases = rows @ frequencies
    mapped: Array = np.hstack([np.cos(phases), np.sin(phases)]) / math.sqrt(FEATURES)
    return mapped


def _distance(mapped: Array, n: int) -> float:
    return float(np.linalg.norm(mapped[:n].mean(axis=0) - mapped[n:].mean(axis=0)))


def _permuted(
    mapped: Array, n: int, seen: float, draw: np.random.Generator, permutations: int
) -> float:
    total, m = mapped.sum(axis=0), len(mapped) - n
    reached = 1
    for _ in range(permutations):
        part = mapped[draw.permutation(len(mapped))[:n]].sum(axis=0)
        distance = float(np.linalg.norm(part / n - (total - part) / m))
        reached += distance >= seen * (1 - 1e-12)
    return reached / (permutations + 1)
