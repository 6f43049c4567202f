"""Gates of quality: rates, mean scores and any other measure, alone or against a baseline."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import (
    Method,
    Places,
    Statistic,
    bootstrap,
    bootstrap_mean,
    generator,
)
from lockgate.statistics.gate import Evidence, Gate, GateResult, judge, too_few, undecided
from lockgate.statistics.intervals import Interval, clopper_pearson, paired_rates
from lockgate.statistics.paired import Alternative, discordance, mcnemar
from lockgate.statistics.samples import Array, Numbers, checked_counts, numbers, pairs
from lockgate.statistics.unconditional import MOST_CASES, exact_p_value

Changed: TypeAlias = Callable[[float], float]
"""From a share of the cases to how far a measure moves at most if they change."""
Swapped: TypeAlias = Callable[[npt.NDArray[np.bool_]], float]
SWAPS: Final = 4_000
_ROUNDING: Final = 1e-12


def require_rate(gate: Gate, passed: int, cases: int, *, limit: float) -> GateResult:
    """Judge a rate against a limit, by exact bounds.

    Raises:
        InvalidInput: the counts are none.

    """
    if cases == 0 and passed == 0:
        return too_few(gate, 0, needed=gate.min_samples)
    checked_counts(passed, cases)
    return judge(
        gate,
        Evidence(
            value=passed / cases,
            reference=limit,
            samples=cases,
            interval=lambda confidence: clopper_pearson(passed, cases, confidence=confidence),
            numbers={"passed": passed},
        ),
    )


def compare_rates(gate: Gate, candidate: Numbers, baseline: Numbers) -> GateResult:
    """Judge passes (1) and failures (0) of two runs on the same cases.

    Fails by McNemar's exact test, passes by Tango's score and, up to 10,000 cases, by the exact
    test that it orders.

    Raises:
        InvalidInput: the lengths differ, or a value is neither 0 nor 1.

    """
    if len(candidate) == len(baseline) == 0:
        return too_few(gate, 0, needed=gate.min_samples)
    seen = discordance(candidate, baseline)
    worse = Alternative.LESS if gate.sign > 0 else Alternative.GREATER
    good, bad = (seen.gains, seen.losses) if gate.sign > 0 else (seen.losses, seen.gains)

    def not_worse() -> float:
        return exact_p_value(good, bad, cases=seen.cases, margin=gate.margin)

    return judge(
        gate,
        Evidence(
            value=seen.difference,
            reference=0.0,
            samples=seen.cases,
            interval=lambda confidence: paired_rates(
                gains=seen.gains, losses=seen.losses, trials=seen.cases, confidence=confidence
            ),
            p_value=mcnemar(seen.gains, seen.losses, alternative=worse),
            pass_p_value=not_worse if seen.cases <= MOST_CASES and gate.margin < 1 else None,
            numbers={
                "candidate": float(np.mean(candidate)),
                "baseline": float(np.mean(baseline)),
                "gains": seen.gains,
                "losses": seen.losses,
            },
        ),
    )


def require_mean(
    gate: Gate,
    scores: Numbers,
    *,
    limit: float,
    seed: int,
    span: tuple[float, float] = (0.0, 1.0),
) -> GateResult:
    """Judge a mean score against a limit; `span` is what a score can be.

    Raises:
        InvalidInput: a score is NaN or outside the span.

    """
    if len(scores) == 0:
        return too_few(gate, 0, needed=gate.min_samples)
    row = _within(numbers(scores, "scores"), span)
    return judge(
        gate,
        Evidence(
            value=float(row.mean()),
            reference=limit,
            samples=row.size,
            interval=partial(_mean_interval, row, seed, span),
        ),
    )


def compare_means(
    gate: Gate,
    candidate: Numbers,
    baseline: Numbers,
    *,
    seed: int,
    span: tuple[float, float] = (0.0, 1.0),
) -> GateResult:
    """Judge the mean difference of scores of two runs on the same cases.

    Raises:
        InvalidInput: the lengths differ, or a score is NaN or outside the span.

    """
    if len(candidate) == len(baseline) == 0:
        return too_few(gate, 0, needed=gate.min_samples)
    left, right = (_within(row, span) for row in pairs(candidate, baseline))
    width = span[1] - span[0]
    return judge(
        gate,
        Evidence(
            value=float((left - right).mean()),
            reference=0.0,
            samples=left.size,
            interval=partial(_mean_interval, left - right, seed, (-width, width)),
            numbers={"candidate": float(left.mean()), "baseline": float(right.mean())},
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Any number of the cases, such as F1, with what its bootstrap needs."""

    of: Statistic
    cases: int
    seed: int
    changed: Changed | None = None
    """How far it moves at most where a share of cases, never seen, has another answer: with it, a
    measure that is the same on every resample gets a verdict."""
    swapped: Swapped | None = None
    """Of a difference of two runs: what it is where these cases change sides."""

    def p_value(self, sign: int) -> float | None:
        """Return how often a random swap of the runs' cases is as bad; `sign` 1: more is better.

        Exact, but for the draw, where nothing tells the runs apart: a bootstrap alone fails some
        6 % of equal runs on few cases.
        """
        if self.swapped is None:
            return None
        draw, seen = generator(self.seed), sign * self.value
        swaps = (self.swapped(draw.random(self.cases) < 0.5) for _ in range(SWAPS))  # noqa: PLR2004
        as_bad = sum(not sign * other > seen + _ROUNDING for other in swaps)
        return (as_bad + 1) / (SWAPS + 1)

    @property
    def value(self) -> float:
        return self.of(np.arange(self.cases))

    def interval(self, confidence: float) -> Interval:
        """Return the bootstrap's interval, no end of it nearer than the unseen may lie.

        Raises:
            InvalidInput: the measure is undefined on more than 1 % of the resamples.

        """
        found = bootstrap(self.of, cases=self.cases, seed=self.seed, confidence=confidence)
        if self.changed is None:
            return found
        unseen = self.changed(clopper_pearson(0, self.cases, confidence=confidence).upper)
        value = self.value
        return replace(
            found, lower=min(found.lower, value - unseen), upper=max(found.upper, value + unseen)
        )


def require_statistic(
    gate: Gate, statistic: Statistic, *, cases: int, limit: float, seed: int
) -> GateResult:
    """Judge any measure of the cases, such as F1 or AUC, by a bootstrap of the cases.

    Inconclusive where the measure is undefined, or the same on every resample: resampling cannot
    show what was never seen.
    """
    return judge_measure(gate, Measure(of=statistic, cases=cases, seed=seed), reference=limit)


def compare_statistics(
    gate: Gate, candidate: Statistic, baseline: Statistic, *, cases: int, seed: int
) -> GateResult:
    """Judge the difference of any measure of two runs on the same cases."""

    def difference(places: Places) -> float:
        return candidate(places) - baseline(places)

    return judge_measure(gate, Measure(of=difference, cases=cases, seed=seed), reference=0.0)


def judge_measure(gate: Gate, measure: Measure, *, reference: float) -> GateResult:
    """Judge a measure by its bootstrap and, where its sides can be swapped, by that test, too."""
    cases = measure.cases
    if cases < max(2, gate.min_samples):
        return too_few(gate, cases, needed=max(2, gate.min_samples))
    interval = cache(measure.interval)
    try:
        first = interval(2 * gate.confidence - 1)
    except InvalidInput as error:
        return undecided(gate, cases, reason=f"`{gate.metric}`: {error.advice}")
    value = measure.value
    if first.lower == first.upper:
        reason = f"`{gate.metric}` is {value:.4g} on every resample of {cases} cases"
        return undecided(gate, cases, reason=reason, numbers={"value": value})
    return judge(
        gate,
        Evidence(
            value=value,
            reference=reference,
            samples=cases,
            interval=interval,
            p_value=measure.p_value(gate.sign) if _may_fail(gate, first, reference) else None,
        ),
    )


def _may_fail(gate: Gate, interval: Interval, reference: float) -> bool:
    """Say whether the test by swaps can matter: thousands of them are slow."""
    best = interval.upper if gate.sign > 0 else interval.lower
    return gate.sign * (best - reference) < 0


def _mean_interval(row: Array, seed: int, span: tuple[float, float], confidence: float) -> Interval:
    """Return the bootstrap interval; where all values are equal, what may still be unseen.

    Values never seen in n cases have together a share of at most 1 - tail^(1/n): the exact bound
    of Clopper and Pearson for 0 of n.
    """
    if row.size > 1 and row.min() < row.max():
        return bootstrap_mean(row, seed=seed, confidence=confidence, method=Method.BCA)
    unseen = clopper_pearson(0, row.size, confidence=confidence).upper
    only = float(row[0])
    return Interval(
        lower=only - unseen * (only - span[0]),
        upper=only + unseen * (span[1] - only),
        confidence=confidence,
        method="unseen-share",
    )


def _within(row: Array, span: tuple[float, float]) -> Array:
    low, high = span
    outside = row[(row < low) | (row > high)]
    if outside.size:
        raise InvalidInput(
            f"the score `{outside[0]}` is outside `{low}` to `{high}`",
            hint="give the span that scores can have",
        )
    return row
