"""How far two labellers agree beyond chance.

Cohen 1960, "A coefficient of agreement for nominal scales", Educational and Psychological
Measurement 20, 37-46; Fleiss, Cohen and Everitt 1969, "Large sample standard errors of kappa and
weighted kappa", Psychological Bulletin 72, 323-327.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput

_Z = 1.959963984540054
"""The normal law's 97.5 % point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Cohen's kappa of two labellers, with what it rests on."""

    kappa: float | None
    """1: always; 0: as often as chance; None: both gave one and the same label to all."""
    observed: float
    expected: float
    items: int
    error: float | None
    """Large-sample standard error."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """At 95 %, by the normal law; poor below some 30 items."""
        if self.kappa is None or self.error is None:
            return None
        return max(-1.0, self.kappa - _Z * self.error), min(1.0, self.kappa + _Z * self.error)

    @property
    def document(self) -> dict[str, Json]:
        return {
            "kappa": self.kappa,
            "interval": list(self.interval) if self.interval else None,
            "observed": self.observed,
            "expected": self.expected,
            "items": self.items,
        }


def kappa(first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Compare the labels that two people gave to the same items.

    Raises:
        InvalidInput: there are no items, or one labelled more than the other.

    """
    n = len(first)
    if n != len(second) or not n:
        raise InvalidInput(f"one labelled {n} items, the other {len(second)}: none in common")
    rows, columns = Counter(first), Counter(second)
    both = Counter(zip(first, second, strict=True))
    names = sorted({*rows, *columns})
    observed = sum(both[name, name] for name in names) / n
    expected = sum(rows[name] * columns[name] for name in names) / n**2
    if math.isclose(expected, 1):
        return Agreement(kappa=None, observed=observed, expected=expected, items=n, error=None)
    value = (observed - expected) / (1 - expected)
    # Fleiss, Cohen and Everitt, equation 13.
    agree = sum(
        both[name, name] / n * (1 - (rows[name] + columns[name]) / n * (1 - value)) ** 2
        for name in names
    )
    differ = (1 - value) ** 2 * sum(
        count / n * ((columns[left] + rows[right]) / n) ** 2
        for (left, right), count in both.items()
        if left != right
    )
    variance = (agree + differ - (value - expected * (1 - value)) ** 2) / (n * (1 - expected) ** 2)
    return Agreement(
        kappa=value,
        observed=observed,
        expected=expected,
        items=n,
        error=math.sqrt(max(0.0, variance)),
    )
