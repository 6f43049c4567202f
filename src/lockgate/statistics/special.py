"""Tail areas and quantiles of the beta, gamma, chi-square and binomial distributions.

DLMF is the NIST Digital Library of Mathematical Functions, release 1.2.4.
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Final

_STANDARD: Final = NormalDist()
_EPSILON: Final = 1e-16
_TINY: Final = 1e-300
_MAX_TERMS: Final = 200_000
"""The fractions need about sqrt(n) terms where they converge slowest, near the mean."""
_MAX_STEPS: Final = 400


def normal_quantile(p: float) -> float:
    """Return z with P(Z <= z) = p, for p strictly between 0 and 1."""
    return _STANDARD.inv_cdf(p)


def normal_tail(z: float) -> float:
    """Return P(Z >= z); accurate far out, where 1 minus the distribution function is not."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), by DLMF 8.17.22."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    logs = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(logs + a * math.log(x) + b * math.log1p(-x))
    # DLMF 8.17.4: the fraction converges fast on one side of the mean only.
    if x < (a + 1) / (a + b + 2):
        return min(1.0, front * _beta_fraction(x, a, b) / a)
    return max(0.0, 1 - front * _beta_fraction(1 - x, b, a) / b)


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return x with I_x(a, b) = p, for p strictly between 0 and 1."""
    logs = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)

    def slope(x: float) -> float:
        return math.exp(logs + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x))

    return _inverse(lambda x: beta_cdf(x, a, b) - p, slope, start=a / (a + b))


def binomial_upper_tail(successes: int, trials: int, p: float) -> float:
    """Return P(X >= successes) for X binomial (DLMF 8.17.5)."""
    if successes <= 0:
        return 1.0
    if successes > trials:
        return 0.0
    return beta_cdf(p, successes, trials - successes + 1)


def binomial_point(successes: int, trials: int, p: float) -> float:
    """Return P(X = successes) for X binomial and p strictly between 0 and 1."""
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1)
    ways -= math.lgamma(trials - successes + 1)
    return math.exp(ways + successes * math.log(p) + (trials - successes) * math.log1p(-p))


def gamma_cdf(x: float, a: float) -> float:
    """Return the regularised lower incomplete gamma function P(a, x)."""
    if x <= 0:
        return 0.0
    if x > a + 1:
        return 1 - _gamma_fraction(x, a)
    # DLMF 8.7.1, the series.
    term = total = 1 / a
    for n in range(1, _MAX_TERMS):
        term *= x / (a + n)
        total += term
        if term < total * _EPSILON:
            break
    return min(1.0, total * math.exp(a * math.log(x) - x - math.lgamma(a)))


def student_tail(t: float, degrees: float) -> float:
    """Return P(T >= t) for Student's t (Abramowitz and Stegun 26.7.1 and 26.5.27)."""
    outside = beta_cdf(degrees / (degrees + t * t), degrees / 2, 0.5) / 2
    return outside if t >= 0 else 1 - outside


def chi_square_tail(x: float, degrees: float) -> float:
    """Return P(X >= x) for X chi-square."""
    if x <= 0:
        return 1.0
    if x / 2 > degrees / 2 + 1:
        return _gamma_fraction(x / 2, degrees / 2)
    return 1 - gamma_cdf(x / 2, degrees / 2)


def noncentral_chi_square_cdf(x: float, degrees: float, shift: float) -> float:
    """Return P(X <= x) for X noncentral chi-square with noncentrality `shift`.

    A Poisson mixture of central ones (Johnson, Kotz and Balakrishnan 1995, "Continuous Univariate
    Distributions" 2, 29.3).
    """
    if x <= 0:
        return 0.0
    mean = shift / 2
    if mean == 0:
        return gamma_cdf(x / 2, degrees / 2)
    reach = int(12 * math.sqrt(mean) + 40)
    first, last = max(0, int(mean) - reach), int(mean) + reach
    half = x / 2
    central = gamma_cdf(half, degrees / 2 + last)
    total = 0.0
    for n in range(last, first - 1, -1):
        total += math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) * central
        # DLMF 8.8.5, downward: only positive terms are added.
        a = degrees / 2 + n - 1
        if a > 0:
            central += math.exp(a * math.log(half) - half - math.lgamma(a + 1))
    return min(1.0, total)


def _beta_fraction(x: float, a: float, b: float) -> float:
    # DLMF 8.17.22 by Lentz's method.
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for numerator in (even, odd):
            d = 1 + numerator * d
            d = 1 / (d if abs(d) > _TINY else _TINY)
            c = 1 + numerator / c
            c = c if abs(c) > _TINY else _TINY
            change = c * d
            value *= change
        if abs(change - 1) < 4 * _EPSILON:
            break
    return value


def _gamma_fraction(x: float, a: float) -> float:
    # DLMF 8.9.2, the upper function, by Lentz's method.
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    value = d
    for n in range(1, _MAX_TERMS):
        numerator = -n * (n - a)
        b += 2
        d = numerator * d + b
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = b + numerator / c
        c = c if abs(c) > _TINY else _TINY
        value *= c * d
        if abs(c * d - 1) < 4 * _EPSILON:
            break
    return value * math.exp(a * math.log(x) - x - math.lgamma(a))


def _inverse(
    excess: Callable[[float], float], slope: Callable[[float], float], *, start: float
) -> float:
    """Return the root in (0, 1) of a rising function: Newton, and bisection where that leaves."""
    low, high, x = 0.0, 1.0, start
    for _ in range(_MAX_STEPS):
        over = excess(x)
        if over == 0:
            return x
        low, high = (low, x) if over > 0 else (x, high)
        steep = slope(x)
        step = over / steep if steep > 0 else math.inf
        following = x - step
        if not low < following < high:
            # Halving the logarithm reaches tiny roots that halving the value would not.
            following = math.sqrt(low * high) if 0 < 4 * low < high else (low + high) / 2
        if abs(following - x) <= 2e-16 * x or not low < following < high:
            return following
        x = following
    return x
