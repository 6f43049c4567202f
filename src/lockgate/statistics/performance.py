"""Gates of latency, cost, throughput and memory: quantiles and means, alone or by a baseline.

What is compared is the ratio candidate / baseline: the reference is 1, and a margin of 0.1 lets
the candidate be 10 % worse.
"""

from functools import cache

import numpy as np

from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import Places, bootstrap
from lockgate.statistics.gate import Evidence, Gate, GateResult, judge, too_few, undecided
from lockgate.statistics.intervals import Interval
from lockgate.statistics.quantiles import (
    checked_quantile,
    least_samples,
    quantile_interval,
    ratio_interval,
)
from lockgate.statistics.samples import Array, Numbers, numbers, pairs


def require_quantile(gate: Gate, values: Numbers, *, q: float, limit: float) -> GateResult:
    """Judge a quantile, such as 0.95 for p95, against a limit in the values' unit.

    By order statistics: no distribution is assumed, and too few values are said to be too few.

    Raises:
        InvalidInput: a value is negative, NaN or infinite.

    """
    needed = _needed(gate, q)
    if len(values) < needed:
        return too_few(gate, len(values), needed=needed)
    row = _measured(values, "values")
    return judge(
        gate,
        Evidence(
            value=float(np.quantile(row, q)),
            reference=limit,
            samples=row.size,
            interval=lambda confidence: quantile_interval(row, q, confidence=confidence),
        ),
    )


def compare_quantiles(
    gate: Gate,
    candidate: Numbers,
    baseline: Numbers,
    *,
    q: float,
    seed: int,
    paired: bool = True,
) -> GateResult:
    """Judge the ratio of two quantiles by a bootstrap, of cases where the runs are `paired`.

    Raises:
        InvalidInput: a value is negative, NaN or infinite, or paired runs differ in length.

    """
    needed = _needed(gate, q)
    if paired and len(candidate) != len(baseline):
        pairs(candidate, baseline)
    samples = min(len(candidate), len(baseline))
    if samples < needed:
        return too_few(gate, samples, needed=needed)
    left, right = _measured(candidate, "candidate"), _measured(baseline, "baseline")
    above, under = float(np.quantile(left, q)), float(np.quantile(right, q))
    numbers_of = {"candidate": above, "baseline": under}
    if under == 0:
        return _no_ratio(gate, samples, numbers_of)

    def interval(confidence: float) -> Interval:
        return ratio_interval(left, right, q, confidence=confidence, seed=seed, paired=paired)

    return judge(
        gate,
        Evidence(
            value=above / under,
            reference=1.0,
            samples=samples,
            interval=interval,
            numbers=numbers_of,
        ),
    )


def compare_totals(gate: Gate, candidate: Numbers, baseline: Numbers, *, seed: int) -> GateResult:
    """Judge the ratio of two sums over the same cases, such as costs, by a BCa bootstrap.

    Raises:
        InvalidInput: a value is negative, NaN or infinite, or the lengths differ.

    """
    if len(candidate) == len(baseline) == 0:
        return too_few(gate, 0, needed=gate.min_samples)
    pairs(candidate, baseline)
    left, right = _measured(candidate, "candidate"), _measured(baseline, "baseline")
    if left.size < max(2, gate.min_samples):
        return too_few(gate, left.size, needed=max(2, gate.min_samples))
    numbers_of = {"candidate": float(left.sum()), "baseline": float(right.sum())}
    if right.sum() == 0:
        return _no_ratio(gate, left.size, numbers_of)

    def ratio(places: Places) -> float:
        under = right[places].sum()
        return float(left[places].sum() / under) if under > 0 else np.nan

    @cache
    def interval(confidence: float) -> Interval:
        return bootstrap(ratio, cases=left.size, seed=seed, confidence=confidence)

    try:
        interval(2 * gate.confidence - 1)
    except InvalidInput as error:
        return undecided(gate, left.size, reason=f"`{gate.metric}`: {error.advice}")
    return judge(
        gate,
        Evidence(
            value=numbers_of["candidate"] / numbers_of["baseline"],
            reference=1.0,
            samples=left.size,
            interval=interval,
            numbers=numbers_of,
        ),
    )


def _needed(gate: Gate, q: float) -> int:
    checked_quantile(q)
    return max(gate.min_samples, least_samples(q, confidence=2 * gate.confidence - 1))


def _measured(values: Numbers, name: str) -> Array:
    row = numbers(values, name)
    if row.min() < 0:
        raise InvalidInput(
            f"`{name}` has the negative value `{row.min()}`",
            hint="measure durations with a clock that never goes backwards",
        )
    return row


def _no_ratio(gate: Gate, samples: int, measured: dict[str, float]) -> GateResult:
    if measured["candidate"] == 0 and measured["baseline"] == 0:
        reason = f"`{gate.metric}` is 0 in both runs: there is no ratio"
    else:
        reason = f"`{gate.metric}` is {measured['candidate']:.4g}, and 0 in the baseline"
    return undecided(gate, samples, reason=reason, numbers=measured)
