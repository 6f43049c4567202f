"""Gates of quality: rates, mean scores and any other measure, alone or against a baseline."""

from functools import cache, partial

import numpy as np

from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import (
    Method,
    Places,
    Statistic,
    bootstrap,
    bootstrap_mean,
)
from lockgate.statistics.gate import Evidence, Gate, GateResult, judge, too_few, undecided
from lockgate.statistics.intervals import Interval, clopper_pearson, paired_rates
from lockgate.statistics.paired import Alternative, discordance, mcnemar
from lockgate.statistics.samples import Array, Numbers, checked_counts, numbers, pairs
from lockgate.statistics.unconditional import MOST_CASES, exact_p_value


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


def require_statistic(
    gate: Gate, statistic: Statistic, *, cases: int, limit: float, seed: int
) -> GateResult:
    """Judge any measure of the cases, such as F1 or AUC, by a bootstrap of the cases.

    Inconclusive where the measure is undefined, or the same on every resample: resampling cannot
    show what was never seen.
    """
    return _by_bootstrap(gate, statistic, cases=cases, reference=limit, seed=seed)


def compare_statistics(
    gate: Gate, candidate: Statistic, baseline: Statistic, *, cases: int, seed: int
) -> GateResult:
    """Judge the difference of any measure of two runs on the same cases."""

    def difference(places: Places) -> float:
        return candidate(places) - baseline(places)

    return _by_bootstrap(gate, difference, cases=cases, reference=0.0, seed=seed)


def _by_bootstrap(
    gate: Gate, statistic: Statistic, *, cases: int, reference: float, seed: int
) -> GateResult:
    if cases < max(2, gate.min_samples):
        return too_few(gate, cases, needed=max(2, gate.min_samples))

    @cache
    def interval(confidence: float) -> Interval:
        return bootstrap(statistic, cases=cases, seed=seed, confidence=confidence)

    try:
        first = interval(2 * gate.confidence - 1)
    except InvalidInput as error:
        return undecided(gate, cases, reason=f"`{gate.metric}`: {error.advice}")
    value = statistic(np.arange(cases))
    if first.lower == first.upper:
        reason = f"`{gate.metric}` is {value:.4g} on every resample of {cases} cases"
        return undecided(gate, cases, reason=reason, numbers={"value": value})
    return judge(gate, Evidence(value=value, reference=reference, samples=cases, interval=interval))


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
