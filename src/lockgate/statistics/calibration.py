"""Whether confidences mean what they say: reliability table, calibration error, Brier score.

Guo et al. 2017, "On calibration of modern neural networks", ICML (expected calibration error of
equal-width bins); Brier 1950, "Verification of forecasts expressed in terms of probability",
Monthly Weather Review 78, 1-3; Roelofs et al. 2022, "Mitigating bias in calibration error
estimation", AISTATS (the error of a finite sample is too large, and why).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import Places
from lockgate.statistics.gate import Direction, Evidence, Gate, GateResult, judge, too_few
from lockgate.statistics.intervals import Interval, wilson
from lockgate.statistics.quality import Measure, judge_measure
from lockgate.statistics.samples import Array, Numbers, checked_confidence, numbers
from lockgate.statistics.special import normal_quantile

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Cases of like confidence: a row of the reliability table."""

    lower: float
    """Above this; the first bin holds 0 too."""
    upper: float
    """Up to this."""
    cases: int
    confidence: float
    """Mean of what was said."""
    accuracy: float
    """Share of what was right."""
    interval: Interval
    """Of the accuracy, by Wilson's score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """A reliability table, and the expected calibration error over its bins."""

    bins: tuple[Bin, ...]
    """Those that hold cases."""
    ece: float
    """Mean distance of confidence and accuracy, bins weighed by their cases."""
    noise: float
    """At most so much of it is what chance alone gives on average."""
    error: float
    """Standard deviation of all bins' gaps together."""
    cases: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return an interval of the calibration error without noise.

        The error is a norm of the bins' mean gaps. Noise makes a norm larger on average, by at
        most `noise`; and it moves no more than the gaps do together, which is what `error` bounds.
        """
        z = normal_quantile((1 + checked_confidence(confidence)) / 2)
        return Interval(
            lower=max(0.0, self.ece - self.noise - z * self.error),
            upper=min(1.0, self.ece + z * self.error),
            confidence=confidence,
            method="norm-of-gaps",
        )

    @property
    def document(self) -> dict[str, Json]:
        return {
            "ece": self.ece,
            "cases": self.cases,
            "bins": [
                {
                    "lower": b.lower,
                    "upper": b.upper,
                    "cases": b.cases,
                    "confidence": b.confidence,
                    "accuracy": b.accuracy,
                    "interval": b.interval.document,
                }
                for b in self.bins
            ],
        }


def reliability(
    confidences: Numbers, correct: Sequence[bool], *, bins: int = BINS, confidence: float = 0.95
) -> Reliability:
    """Return the reliability of confidences, over bins of equal width.

    Raises:
        InvalidInput: a confidence is NaN or outside 0 to 1, or the lengths differ.

    """
    said, right = _forecasts(confidences, correct)
    if not 1 <= bins <= 1000:  # noqa: PLR2004
        raise InvalidInput(f"`{bins}` bins are not between 1 and 1000")
    edges = np.linspace(0, 1, bins + 1)
    at = np.clip(np.searchsorted(edges, said, side="left") - 1, 0, bins - 1)
    rows, ece, noise, variance = [], 0.0, 0.0, 0.0
    for i in np.unique(at).tolist():
        inside = at == i
        n, hits = int(inside.sum()), int(right[inside].sum())
        mean = float(said[inside].mean())
        weight = n / said.size
        # The spread of a bin that is all right or all wrong is not 0: one case of each is added.
        share = (hits + 1) / (n + 2)
        spread = weight * math.sqrt(share * (1 - share) / n)
        ece += weight * abs(hits / n - mean)
        noise += math.sqrt(2 / math.pi) * spread
        variance += spread**2
        rows.append(
            Bin(
                lower=float(edges[i]),
                upper=float(edges[i + 1]),
                cases=n,
                confidence=mean,
                accuracy=hits / n,
                interval=wilson(hits, n, confidence=confidence),
            )
        )
    return Reliability(
        bins=tuple(rows), ece=ece, noise=noise, error=math.sqrt(variance), cases=said.size
    )


def brier(probabilities: Numbers, truth: Sequence[bool]) -> float:
    """Return the mean squared distance of probabilities and what came: 0 is best.

    Raises:
        InvalidInput: a probability is NaN or outside 0 to 1, or the lengths differ.

    """
    said, came = _forecasts(probabilities, truth)
    return float(((said - came) ** 2).mean())


def require_calibrated(
    gate: Gate, confidences: Numbers, correct: Sequence[bool], *, limit: float, bins: int = BINS
) -> GateResult:
    """Judge the expected calibration error against a limit.

    Raises:
        InvalidInput: a confidence is NaN or outside 0 to 1, the lengths differ, or the gate
            wants a larger error.

    """
    if gate.direction is not Direction.LOWER:
        raise InvalidInput(
            f"`{gate.metric}` is an error, and the gate's direction is `{gate.direction}`",
            hint='give it the direction "lower"',
        )
    if len(confidences) == len(correct) == 0:
        return too_few(gate, 0, needed=gate.min_samples)
    table = reliability(confidences, correct, bins=bins)
    return judge(
        gate,
        Evidence(
            value=table.ece,
            reference=limit,
            samples=table.cases,
            interval=table.interval,
            numbers={"noise": table.noise, "bins": len(table.bins)},
        ),
    )


def compare_calibration(
    gate: Gate,
    candidate: tuple[Numbers, Sequence[bool]],
    baseline: tuple[Numbers, Sequence[bool]],
    *,
    seed: int,
    bins: int = BINS,
) -> GateResult:
    """Judge the difference of two runs' calibration errors on the same cases, each (said, right).

    Noise makes both errors larger, and by about as much: in their difference it mostly cancels.

    Raises:
        InvalidInput: a confidence is NaN or outside 0 to 1, or the lengths differ.

    """
    if not (len(candidate[0]) or len(baseline[0])):
        return too_few(gate, 0, needed=gate.min_samples)
    (said, right), (before, was_right) = _forecasts(*candidate), _forecasts(*baseline)
    if said.size != before.size:
        raise InvalidInput(f"`{said.size}` confidences, and `{before.size}` of the baseline")

    def difference(places: Places) -> float:
        new = _error(said[places], right[places], bins)
        return new - _error(before[places], was_right[places], bins)

    def swapped(at: npt.NDArray[np.bool_]) -> float:
        new = _error(np.where(at, before, said), np.where(at, was_right, right), bins)
        return new - _error(np.where(at, said, before), np.where(at, right, was_right), bins)

    paired = Measure(
        of=difference,
        cases=said.size,
        seed=seed,
        # A case whose confidence and answer change leaves one bin and comes into another.
        changed=lambda share: 2 * share,
        swapped=swapped,
    )
    result = judge_measure(gate, paired, reference=0.0)
    sides = {"candidate": _error(said, right, bins), "baseline": _error(before, was_right, bins)}
    return replace(result, numbers=sides)


def _error(said: Array, right: Array, bins: int) -> float:
    """Return the expected calibration error alone: as `reliability`, and much faster."""
    edges = np.linspace(0, 1, bins + 1)
    at = np.clip(np.searchsorted(edges, said, side="left") - 1, 0, bins - 1)
    gaps = np.bincount(at, weights=right - said, minlength=bins)
    return float(np.abs(gaps).sum() / said.size)


def _forecasts(probabilities: Numbers, came: Sequence[bool]) -> tuple[Array, Array]:
    said = numbers(probabilities, "confidences")
    outside = said[(said < 0) | (said > 1)]
    if outside.size:
        raise InvalidInput(f"the confidence `{outside[0]}` is not between 0 and 1")
    if said.size != len(came):
        raise InvalidInput(f"`{said.size}` confidences, and `{len(came)}` answers")
    return said, np.asarray(came, dtype=bool).astype(np.float64)
