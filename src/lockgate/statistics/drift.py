"""How far a sample has moved from a reference: PSI, Kolmogorov-Smirnov, Wasserstein, MMD.

Lewis 1994, "An Introduction to Credit Scoring" (PSI); Yurdakul and Naranjo 2020, "Statistical
properties of the population stability index", Journal of Risk Model Validation 14(4) (its
chi-square law); Hodges 1958, "The significance probability of the Smirnov two-sample test", Arkiv
för Matematik 3, 469-486; Gretton et al. 2012, "A kernel two-sample test", JMLR 13, 723-773; Rahimi
and Recht 2007, "Random features for large-scale kernel machines", NIPS 20.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from lockgate.errors import InvalidInput
from lockgate.statistics.intervals import Interval
from lockgate.statistics.paired import Tested
from lockgate.statistics.samples import Array, Numbers, checked_confidence, numbers
from lockgate.statistics.special import chi_square_tail, noncentral_chi_square_cdf

_HALVINGS: Final = 100
_EXACT_PATHS: Final = 4_000_000
_SERIES: Final = 100
_SMOOTHING: Final = 0.5
"""Added to each bin's count, so that an empty bin is rare and not impossible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A population stability index, and what it rests on."""

    value: float
    bins: int
    reference: int
    current: int

    @property
    def p_value(self) -> float:
        """Of "nothing has moved"."""
        return chi_square_tail(self.value / self._unit, self.bins - 1)

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return an interval of the index without noise, which makes the value larger.

        The value by `1/n + 1/m` is noncentral chi-square, to first order in the shift.
        """
        tail = (1 - checked_confidence(confidence)) / 2
        seen, degrees = self.value / self._unit, self.bins - 1

        def shift(wanted: float) -> float:
            def below(noncentrality: float) -> bool:
                return noncentral_chi_square_cdf(seen, degrees, noncentrality) > wanted

            return _last_true(below, start=seen + 10 * math.sqrt(seen + degrees) + 10)

        return Interval(
            lower=shift(1 - tail) * self._unit,
            # No sample shows that nothing at all has moved.
            upper=max(shift(tail), 1.0) * self._unit,
            confidence=confidence,
            method="noncentral-chi-square",
        )

    @property
    def _unit(self) -> float:
        return 1 / self.reference + 1 / self.current


def psi(reference: Numbers, current: Numbers, *, bins: int = 10) -> Shift:
    """Return the population stability index over bins that hold equal shares of the reference.

    Raises:
        InvalidInput: a value is not finite, or the reference has a single value.

    """
    before, now = numbers(reference, "reference"), numbers(current, "current")
    if bins < 2:  # noqa: PLR2004
        raise InvalidInput(f"`{bins}` bins are too few to compare, at least 2 are needed")
    edges = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    # A value on an edge belongs below it; an edge at the top would leave an empty bin above.
    edges = edges[edges < before.max()]
    if not edges.size:
        raise InvalidInput(
            f"the reference is `{before[0]}` in all but few of {before.size} values: no bins",
            hint="compare categories instead, or leave this feature out",
        )
    counts = [
        np.bincount(np.searchsorted(edges, row, side="left"), minlength=edges.size + 1)
        for row in (before, now)
    ]
    return _index(counts[0].astype(np.float64), counts[1].astype(np.float64))


def psi_of_categories(reference: Mapping[str, int], current: Mapping[str, int]) -> Shift:
    """Return the population stability index of counted categories.

    Raises:
        InvalidInput: a count is negative, a side is empty, or there is one category in all.

    """
    names = sorted(reference.keys() | current.keys())
    before = numbers([reference.get(name, 0) for name in names], "reference", least=2)
    now = numbers([current.get(name, 0) for name in names], "current", least=2)
    for side, row in (("reference", before), ("current", now)):
        if row.min() < 0 or row.sum() < 1:
            raise InvalidInput(f"`{side}` counts {row.sum():g} values, the least `{row.min():g}`")
    return _index(before, now)


def kolmogorov_smirnov(reference: Numbers, current: Numbers) -> Tested:
    """Return the greatest distance of the two distribution functions, and its p-value.

    Exact up to 4 million pairs (with ties it is an upper bound), else Kolmogorov's limit.

    Raises:
        InvalidInput: a side is empty, or a value is not finite.

    """
    before, now = numbers(reference, "reference"), numbers(current, "current")
    n, m = before.size, now.size
    every = np.concatenate([before, now])
    above = np.searchsorted(np.sort(before), every, side="right") * m
    under = np.searchsorted(np.sort(now), every, side="right") * n
    # In whole numbers: a distance that misses itself by a rounding error has another p-value.
    steps = int(np.abs(above - under).max())
    distance = steps / (n * m)
    if n * m <= _EXACT_PATHS:
        return Tested(statistic=distance, p_value=_outside(n, m, steps), method="ks-exact")
    tail = kolmogorov_tail(math.sqrt(n * m / (n + m)) * distance)
    return Tested(statistic=distance, p_value=tail, method="ks-asymptotic")


def kolmogorov_tail(x: float) -> float:
    """Return P(K >= x) for Kolmogorov's limiting distribution (Smirnov 1948)."""
    if x <= 0:
        return 1.0
    if x < 1:
        # The theta function's other series: it converges fast where the alternating one does not.
        scale = -(math.pi**2) / (8 * x * x)
        rows = sum(math.exp(scale * (2 * k - 1) ** 2) for k in range(1, _SERIES))
        return 1 - math.sqrt(2 * math.pi) / x * rows
    rows = sum((1 if k % 2 else -1) * math.exp(-2 * (k * x) ** 2) for k in range(1, _SERIES))
    return min(1.0, 2 * rows)


def wasserstein(reference: Numbers, current: Numbers) -> float:
    """Return the least mean distance that values must move, in the unit of the values.

    Raises:
        InvalidInput: a side is empty, or a value is not finite.

    """
    before, now = np.sort(numbers(reference, "reference")), np.sort(numbers(current, "current"))
    every = np.sort(np.concatenate([before, now]))
    shares = [np.searchsorted(row, every[:-1], side="right") / row.size for row in (before, now)]
    return float(np.abs(shares[0] - shares[1]) @ np.diff(every))


def _index(before: Array, now: Array) -> Shift:
    shares = [(row + _SMOOTHING) / (row.sum() + _SMOOTHING * row.size) for row in (before, now)]
    value = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    return Shift(value=value, bins=before.size, reference=int(before.sum()), current=int(now.sum()))


def _last_true(holds: Callable[[float], bool], *, start: float) -> float:
    """Return the greatest x >= 0 where a condition that fails from some x on still holds."""
    if not holds(0.0):
        return 0.0
    low, high = 0.0, start
    while holds(high):
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if high - low <= 1e-9 * high:
            break
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _outside(n: int, m: int, steps: int) -> float:
    """Return the share of lattice paths from (0, 0) to (n, m) that reach |i m - j n| >= steps.

    Paths that stay inside are counted row by row; each row is a running sum of the one before,
    cut to the band, and scaled so that counts stay small.
    """
    if steps == 0:
        return 1.0
    columns = np.arange(m + 1) * n
    row = np.where(columns < steps, 1.0, 0.0)
    scale = 0.0
    for i in range(1, n + 1):
        inside = np.abs(columns - i * m) < steps
        row = np.cumsum(row * inside) * inside
        largest = float(row.max())
        if largest == 0:
            return 1.0
        row /= largest
        scale += math.log(largest)
    if row[m] == 0:
        return 1.0
    ways = math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)
    return min(1.0, max(0.0, -math.expm1(math.log(row[m]) + scale - ways)))
