"""How sure a share of passes makes us: exact binomial intervals."""

import math
from typing import Final

_STEPS: Final = 60  # halvings of [0, 1]: beyond the precision of a double


def clopper_pearson(passed: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval for a share (Clopper and Pearson, Biometrika 26, 1934).

    It covers the true share at least with the probability `level`, at every sample size.

    Raises:
        ValueError: `total` is 0, or `passed` is not between 0 and `total`.

    """
    if not 0 <= passed <= total or total == 0:
        raise ValueError(f"{passed} of {total} is not a share")
    tail = (1 - level) / 2
    lower = 0.0 if passed == 0 else _solve(passed, total, tail)
    upper = 1.0 if passed == total else 1 - _solve(total - passed, total, tail)
    return lower, upper


def _solve(successes: int, total: int, tail: float) -> float:
    """Return the share at which `successes` or more have the probability `tail`."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_least(successes, total, middle) < tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_least(successes: int, total: int, share: float) -> float:
    """Return P(X >= successes) for X ~ Binomial(total, share), in logarithms against underflow."""
    if share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    log_share, log_rest = math.log(share), math.log1p(-share)
    fixed = math.lgamma(total + 1)
    return math.fsum(
        math.exp(
            fixed
            - math.lgamma(k + 1)
            - math.lgamma(total - k + 1)
            + k * log_share
            + (total - k) * log_rest
        )
        for k in range(successes, total + 1)
    )
