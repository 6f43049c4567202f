"""Tests of two runs on the same cases: candidate against baseline.

McNemar 1947, "Note on the sampling error of the difference between correlated proportions or
percentages", Psychometrika 12, 153-157; Fagerland, Lydersen and Laake 2013, "The McNemar test
for binary matched-pairs data: mid-p and asymptotic are better than exact conditional", BMC
Medical Research Methodology 13:91; Wilcoxon 1945, "Individual comparisons by ranking methods",
Biometrics Bulletin 1, 80-83; Phipson and Smyth 2010, "Permutation p-values should never be
zero", SAGMB 9:39.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import generator
from lockgate.statistics.intervals import paired_score
from lockgate.statistics.ranks import midranks, tie_sizes
from lockgate.statistics.samples import Array, Numbers, checked_counts, is_binary, pairs
from lockgate.statistics.special import (
    binomial_point,
    binomial_upper_tail,
    normal_tail,
    student_tail,
)

_EXACT_RANKS: Final = 50
_EXACT_FLIPS: Final = 16
_ROUNDING: Final = 1e-12
"""Sums of the same numbers in another order differ by less than this share of their size."""


class Alternative(StrEnum):
    """What a small p-value speaks for."""

    GREATER = "greater"
    """The candidate's numbers are larger."""
    LESS = "less"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discordance:
    """How two runs of passes and failures differ, case by case."""

    gains: int
    """Cases that only the candidate passed."""
    losses: int
    """Cases that only the baseline passed."""
    cases: int

    @property
    def difference(self) -> float:
        """The candidate's rate less the baseline's."""
        return (self.gains - self.losses) / self.cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What a test found."""

    statistic: float
    p_value: float
    method: str


def discordance(candidate: Numbers, baseline: Numbers) -> Discordance:
    """Count the cases that one run passed and the other did not; 1 is a pass, 0 a failure.

    Raises:
        InvalidInput: the lengths differ, there is no case, or a value is neither 0 nor 1.

    """
    left, right = pairs(candidate, baseline)
    if not (is_binary(left) and is_binary(right)):
        raise InvalidInput("a case has a score that is neither 0 nor 1, so passes are not counted")
    return Discordance(
        gains=int(np.sum(left > right)), losses=int(np.sum(left < right)), cases=left.size
    )


def mcnemar(
    gains: int,
    losses: int,
    *,
    alternative: Alternative = Alternative.DIFFERENT,
    mid_p: bool = False,
) -> float:
    """Return McNemar's exact p-value, given the number of cases that differ.

    With `mid_p` it keeps its level on average rather than always, and finds more.

    Raises:
        InvalidInput: a count is negative.

    """
    if min(gains, losses) < 0:
        raise InvalidInput(f"`{gains}` gains and `{losses}` losses are not counts")
    differ = gains + losses
    if differ == 0:
        return 1.0
    half = binomial_point(gains, differ, 0.5) / 2 if mid_p else 0.0
    greater = binomial_upper_tail(gains, differ, 0.5) - half
    less = binomial_upper_tail(losses, differ, 0.5) - half
    match alternative:
        case Alternative.GREATER:
            return greater
        case Alternative.LESS:
            return less
        case Alternative.DIFFERENT:
            return min(1.0, 2 * min(greater, less))


def wilcoxon(
    candidate: Numbers,
    baseline: Numbers,
    *,
    alternative: Alternative = Alternative.DIFFERENT,
) -> Tested:
    """Test by signed ranks whether differences lie about 0; cases without one are left out.

    Exact for at most 50 differences of different sizes, else by the normal law with Wilcoxon's
    tie correction and no continuity correction.

    Raises:
        InvalidInput: the lengths differ, or a value is not finite.

    """
    left, right = pairs(candidate, baseline)
    moved = (left - right)[left != right]
    n = moved.size
    if n == 0:
        return Tested(statistic=0.0, p_value=1.0, method="wilcoxon-exact")
    ranks = midranks(np.abs(moved))
    up = float(ranks[moved > 0].sum())
    total = n * (n + 1) / 2
    ties = tie_sizes(np.abs(moved))
    if n <= _EXACT_RANKS and ties.size == n:
        sums = _rank_sums(n)
        greater = float(sums[math.ceil(up) :].sum())
        less = float(sums[: math.floor(up) + 1].sum())
        return Tested(
            statistic=up, p_value=_sided(greater, less, alternative), method="wilcoxon-exact"
        )
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((ties**3 - ties).sum()) / 48
    z = (up - total / 2) / math.sqrt(variance)
    return Tested(
        statistic=up,
        p_value=_sided(normal_tail(z), normal_tail(-z), alternative),
        method="wilcoxon-normal",
    )


def sign_flips(
    candidate: Numbers,
    baseline: Numbers,
    *,
    seed: int,
    alternative: Alternative = Alternative.DIFFERENT,
    flips: int = 10_000,
) -> Tested:
    """Test whether the mean difference is 0 by swapping the two runs case by case.

    Every swap is tried up to 16 differences; beyond, `flips` random ones, this one counted in.

    Raises:
        InvalidInput: the lengths differ, or a value is not finite.

    """
    left, right = pairs(candidate, baseline)
    moved = (left - right)[left != right]
    if flips < 1:
        raise InvalidInput(f"`{flips}` swaps are no test")
    seen = float(moved.sum())
    if moved.size <= _EXACT_FLIPS:
        bits = np.arange(1 << moved.size)[:, None] >> np.arange(moved.size) & 1
        sums, extra, method = (2 * bits - 1) @ moved, 0, "sign-flips-exact"
    else:
        sums, extra, method = _flipped(moved, generator(seed), flips), 1, "sign-flips"
    near = _ROUNDING * float(np.abs(moved).sum())
    greater = (int(np.sum(sums >= seen - near)) + extra) / (sums.size + extra)
    less = (int(np.sum(sums <= seen + near)) + extra) / (sums.size + extra)
    return Tested(
        statistic=seen / left.size, p_value=_sided(greater, less, alternative), method=method
    )


def non_inferior_rates(gains: int, losses: int, *, cases: int, margin: float) -> Tested:
    """Test against "the candidate's rate is lower by `margin` or more", by Tango's score.

    A small p-value speaks for a candidate that is not worse than that.

    Raises:
        InvalidInput: the counts are none, or the margin is not between 0 and 1.

    """
    checked_counts(gains + losses, cases)
    checked_counts(gains, cases)
    checked_counts(losses, cases)
    z = paired_score(-checked_margin(margin), gains=gains, losses=losses, trials=cases)
    return Tested(statistic=z, p_value=normal_tail(z), method="tango-score")


def non_inferior_scores(candidate: Numbers, baseline: Numbers, *, margin: float) -> Tested:
    """Test against "the candidate's mean is lower by `margin` or more", by Student's t.

    Raises:
        InvalidInput: the lengths differ, a value is not finite, or there is 1 case.

    """
    left, right = pairs(candidate, baseline)
    if left.size < 2:  # noqa: PLR2004
        raise InvalidInput(f"`{left.size}` cases have no spread, at least 2 are needed")
    moved = left - right
    spread = float(moved.std(ddof=1))
    mean = float(moved.mean())
    if spread <= _ROUNDING * float(np.abs(left).max() + np.abs(right).max()):
        # No spread is no evidence of none: the same answer on few cases proves little.
        raise InvalidInput(f"all {left.size} differences are `{mean}`: no t statistic")
    shifted = mean + checked_margin(margin, most=math.inf)
    t = shifted / (spread / math.sqrt(left.size))
    return Tested(statistic=t, p_value=student_tail(t, left.size - 1), method="student-t")


def holm(p_values: Numbers) -> list[float]:
    """Return p-values that stay below a level only where Holm's test rejects at that level.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 65-70.

    Raises:
        InvalidInput: a value is not between 0 and 1.

    """
    row = np.asarray(p_values, dtype=np.float64)
    if not ((row >= 0) & (row <= 1)).all():
        raise InvalidInput("a p-value is not between 0 and 1")
    order = np.argsort(row, kind="stable")
    stepped = np.maximum.accumulate(row[order] * np.arange(row.size, 0, -1))
    adjusted = np.empty_like(row)
    adjusted[order] = np.minimum(stepped, 1)
    return [float(p) for p in adjusted]


def checked_margin(margin: float, *, most: float = 1.0) -> float:
    """Return a margin that is not negative and below `most`.

    Raises:
        InvalidInput: it is outside.

    """
    if not 0 <= margin < most:
        raise InvalidInput(f"the margin is `{margin}`, not at least 0 and below {most}")
    return margin


def _sided(greater: float, less: float, alternative: Alternative) -> float:
    match alternative:
        case Alternative.GREATER:
            return min(1.0, greater)
        case Alternative.LESS:
            return min(1.0, less)
        case Alternative.DIFFERENT:
            return min(1.0, 2 * min(greater, less))


def _rank_sums(n: int) -> Array:
    """Return the probability of each sum of positive ranks, from 0 up, when signs are coins."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):
        shifted = np.zeros_like(ways)
        shifted[rank:] = ways[: ways.size - rank]
        ways = (ways + shifted) / 2
    return ways


def _flipped(moved: Array, draw: np.random.Generator, flips: int) -> Array:
    block = max(1, 4_000_000 // moved.size)
    parts = []
    for at in range(0, flips, block):
        bits = draw.integers(0, 2, (min(block, flips - at), moved.size), dtype=np.int8)
        parts.append((2 * bits - 1) @ moved)
    return np.concatenate(parts)
