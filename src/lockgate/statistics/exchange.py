"""Drift watched night after night: a conformal test martingale.

Each new value is ranked among all before it, the reference included, ties broken at random. While
nothing drifts these ranks are independent and uniform, whatever the values' law and however small
the reference. Bets against that are a martingale of mean 1, so that by Ville's inequality a wealth
of 1/a is ever reached with probability at most a, over all nights together.

Vovk, Nouretdinov and Gammerman 2003, "Testing exchangeability on-line", ICML 20; Vovk et al. 2021,
"Retrain or not retrain: conformal test martingales for change-point detection", PMLR 152 (Simple
Jumper). Ours keeps part of the wealth back for later nights, so that a drift after a long calm is
not drowned by what was lost before, and bets on spread beside place.
"""

import math
from bisect import bisect_left, bisect_right, insort_left
from collections.abc import Mapping
from typing import Final, Self

import numpy as np

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput
from lockgate.statistics.samples import Array, Numbers, numbers

_STAKES: Final = np.array([-1.0, -0.3, -0.1, 0.0, 0.1, 0.3, 1.0])
_BETS: Final = 2
"""On the rank, and on its distance from the middle."""
_JUMP: Final = 0.001
_ENOUGH: Final = 1e100
"""No bets are made beyond this wealth: nothing is left to show, and it must not overflow."""
MAX_VALUES: Final = 5_000_000


class ExchangeProcess:
    """A reference, the values since, and the evidence that they are of another law.

    The reference must not have been chosen by, or fitted to, the values to come; a score that was
    fitted on data (a distance to their centre) must be ranked against other data.
    """

    def __init__(self, reference: Numbers, *, seed: int) -> None:
        if seed < 0:
            raise InvalidInput(f"the seed `{seed}` is negative")
        self._values = np.sort(numbers(reference, "reference", least=2))
        self._reference = self._values.size
        self._seed = seed
        self._nights = 0
        self._kept = 1.0
        self._wealth = np.zeros((_BETS, _STAKES.size))
        self._peak = 1.0

    @property
    def log_e_value(self) -> float:
        """The logarithm of the wealth now."""
        return math.log(self._kept + float(self._wealth.sum()))

    @property
    def p_value(self) -> float:
        """Of "nothing has drifted on any night so far": valid after each, since it never rises."""
        return 1 / self._peak

    @property
    def seen(self) -> int:
        """How many values came since the reference."""
        return self._values.size - self._reference

    def add_night(self, values: Numbers) -> None:
        """Count the values of a night, in the order in which they came, and look.

        Raises:
            InvalidInput: a value is NaN or infinite, or there are more than 5 million in all.

        """
        row = numbers(values, "values", least=0)
        if self._values.size + row.size > MAX_VALUES:
            raise InvalidInput(
                f"{self._values.size + row.size} values are more than {MAX_VALUES}",
                hint="start again from a new reference window",
            )
        self._nights += 1
        # Shares 1/(k (k+1)) sum to 1 over all nights.
        share = 1 / (self._nights * (self._nights + 1))
        self._kept -= share
        self._wealth += share / self._wealth.size
        for rank in self._ranks(row):
            self._bet(rank)
        self._values = np.sort(np.concatenate([self._values, row]))

    @property
    def document(self) -> dict[str, Json]:
        """Everything that `resumed` needs; its size is that of all values."""
        return {
            "seed": self._seed,
            "reference": self._reference,
            "nights": self._nights,
            "kept": self._kept,
            "wealth": [[float(x) for x in row] for row in self._wealth],
            "peak": self._peak,
            "values": [float(x) for x in self._values],
        }

    @classmethod
    def resumed(cls, document: Mapping[str, Json]) -> Self:
        """Return the process that wrote the document.

        Raises:
            InvalidInput: it is not such a document.

        """
        try:
            seed = int(document["seed"])  # type: ignore[arg-type]
            process = cls(document["values"], seed=seed)  # type: ignore[arg-type]
            wealth = np.array(document["wealth"], dtype=np.float64)
            process._reference = int(document["reference"])  # type: ignore[arg-type]
            process._nights = int(document["nights"])  # type: ignore[arg-type]
            process._kept = float(document["kept"])  # type: ignore[arg-type]
            process._peak = float(document["peak"])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"this is no state of a drift process: {error}") from error
        if wealth.shape != process._wealth.shape or not (wealth >= 0).all() or process._peak < 1:
            raise InvalidInput(f"a drift process with the peak `{process._peak}` was not ours")
        process._wealth = wealth
        return process

    def _ranks(self, row: Array) -> list[float]:
        """Return the share of values at or before each one; uniform where nothing drifts."""
        source = np.random.PCG64(self._seed)
        source.advance(self.seen)
        breaks = np.random.Generator(source).random(row.size)
        under = np.searchsorted(self._values, row, side="left").tolist()
        upto = np.searchsorted(self._values, row, side="right").tolist()
        tonight: list[float] = []
        ranks = []
        for i, value in enumerate(row.tolist()):
            first, last = bisect_left(tonight, value), bisect_right(tonight, value)
            equal = upto[i] - under[i] + last - first + 1
            below = under[i] + first
            ranks.append((below + float(breaks[i]) * equal) / (self._values.size + i + 1))
            insort_left(tonight, value)
        return ranks

    def _bet(self, rank: float) -> None:
        wealth = self._wealth
        total = float(wealth.sum())
        if total > _ENOUGH:
            return
        wealth = (1 - _JUMP) * wealth + _JUMP * wealth.mean(axis=1, keepdims=True)
        odds = np.array([[rank - 0.5], [abs(2 * rank - 1) - 0.5]])
        self._wealth = wealth * (1 + odds * _STAKES)
        self._peak = max(self._peak, self._kept + float(self._wealth.sum()))
