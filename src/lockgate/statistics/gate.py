"""A gate: what is asked of a metric, and the three-valued answer.

Two claims are tested, each at the level 1 - confidence: that the metric is no worse than the
reference (refuting it fails the gate), and that it is worse by the margin or more (refuting it
passes). Where neither is refuted, the verdict is inconclusive: sample more, or refuse. So an equal
release fails, and one that is worse by the margin passes, each at most that often. In between,
"worse, but by less than the margin" is a pass when there are cases enough to say so.

The two bounds are the ends of one interval of confidence 2c - 1, as in tests of equivalence:
Schuirmann 1987, "A comparison of the two one-sided tests procedure and the power approach for
assessing the equivalence of average bioavailability", JPB 15, 657-680.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lockgate.domain.digest import Json
from lockgate.domain.verdict import Outcome, Verdict
from lockgate.errors import InvalidInput
from lockgate.statistics.intervals import Interval
from lockgate.statistics.special import normal_quantile

_POWER: Final = 0.8
"""How sure of a verdict the estimate of more samples makes."""
_MOST_SAMPLES: Final = 10_000_000


class Direction(StrEnum):
    """Which values of a metric are better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What is asked of one metric.

    Raises:
        InvalidInput: a number is outside its range.

    """

    metric: str
    direction: Direction = Direction.HIGHER
    margin: float = 0.0
    """How much worse than the reference is still let pass, in the units of what is compared:
    a difference of rates, or 0.1 for a ratio of 1.1."""
    confidence: float = 0.95
    """Of each verdict: a wrong pass and a wrong fail have each at most the rest to 1."""
    min_samples: int = 30
    """Fewer get no verdict."""
    family: int = 1
    """How many gates of the same policy a release must pass. A fail then needs so much more
    confidence that an equal release fails any of them at most as often as it would one
    (Bonferroni). A pass does not: all must pass (Berger 1982, Technometrics 24, 295-300)."""

    def __post_init__(self) -> None:
        if not 0 <= self.margin < math.inf:
            raise InvalidInput(f"`{self.metric}` has the margin `{self.margin}`, not 0 or more")
        if not 0.5 < self.confidence < 1:  # noqa: PLR2004
            raise InvalidInput(
                f"`{self.metric}` has the confidence `{self.confidence}`, not between 0.5 and 1",
                hint="0.95 lets 1 verdict in 20 be wrong",
            )
        if self.min_samples < 1 or self.family < 1:
            raise InvalidInput(
                f"`{self.metric}` has min_samples `{self.min_samples}` and family "
                f"`{self.family}`, both must be at least 1"
            )

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.direction is Direction.HIGHER else -1

    @property
    def level(self) -> float:
        """The greatest p-value of "no worse than the reference" that fails the gate."""
        return (1 - self.confidence) / self.family

    @property
    def document(self) -> dict[str, Json]:
        return {
            "metric": self.metric,
            "direction": str(self.direction),
            "margin": self.margin,
            "confidence": self.confidence,
            "min_samples": self.min_samples,
            "family": self.family,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was measured of a metric, beside what it is compared with."""

    value: float
    reference: float
    samples: int
    interval: Callable[[float], Interval]
    """Of the value, with both ends together at the confidence that it is called with."""
    p_value: float | None = None
    """Of an exact test of "no worse than the reference", where there is one: it must agree."""
    pass_p_value: Callable[[], float] | None = None
    """Of an exact test of "worse by the margin or more": a pass must agree with it, too."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What a report shows beside the value: both rates, gains, losses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """A gate's verdict, with everything that it rests on."""

    gate: Gate
    outcome: Outcome
    reason: str
    samples: int
    value: float | None = None
    reference: float | None = None
    interval: Interval | None = None
    """Of the value; its confidence is 2c - 1, so that each end alone holds with c."""
    p_value: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    more_samples: int | None = None
    """Where inconclusive: about how many more cases bring a verdict with 80 % probability, if
    they are like those seen. None: no reasonable number, for the value is too near a bound."""

    @property
    def verdict(self) -> Verdict:
        return Verdict(check=self.gate.metric, outcome=self.outcome, reason=self.reason)

    @property
    def document(self) -> dict[str, Json]:
        return {
            "gate": self.gate.document,
            "outcome": self.outcome.name.lower(),
            "reason": self.reason,
            "samples": self.samples,
            "value": self.value,
            "reference": self.reference,
            "interval": self.interval.document if self.interval else None,
            "p_value": self.p_value,
            "numbers": dict(sorted(self.numbers.items())),
            "more_samples": self.more_samples,
        }


def judge(gate: Gate, evidence: Evidence) -> GateResult:
    """Return the verdict of a gate on evidence of enough samples, or say how many lack.

    Raises:
        InvalidInput: the value or the reference is NaN or infinite.

    """
    if not (math.isfinite(evidence.value) and math.isfinite(evidence.reference)):
        raise InvalidInput(
            f"`{gate.metric}` is `{evidence.value}`, the reference `{evidence.reference}`: "
            "both must be finite"
        )
    if evidence.samples < gate.min_samples:
        return too_few(gate, evidence.samples, needed=gate.min_samples, numbers=evidence.numbers)
    interval = evidence.interval(2 * gate.confidence - 1)
    worst, _ = _gains(gate, interval, evidence.reference)
    if worst >= -gate.margin and _is_sure(gate, evidence):
        outcome, more = Outcome.PASS, None
    elif _is_worse(gate, evidence, interval):
        outcome, more = Outcome.FAIL, None
    else:
        outcome, more = Outcome.INCONCLUSIVE, _more(gate, evidence, interval)
    return GateResult(
        gate=gate,
        outcome=outcome,
        reason=_reason(gate, evidence, interval, outcome, more),
        samples=evidence.samples,
        value=evidence.value,
        reference=evidence.reference,
        interval=interval,
        p_value=evidence.p_value,
        numbers=evidence.numbers,
        more_samples=more,
    )


def too_few(
    gate: Gate, samples: int, *, needed: int, numbers: Mapping[str, float] | None = None
) -> GateResult:
    """Return the verdict on fewer samples than any verdict can stand on."""
    return undecided(
        gate,
        samples,
        reason=f"`{gate.metric}`: {samples} samples, at least {needed} are needed",
        more=needed - samples,
        numbers=numbers,
    )


def undecided(
    gate: Gate,
    samples: int,
    *,
    reason: str,
    more: int | None = None,
    numbers: Mapping[str, float] | None = None,
) -> GateResult:
    """Return an inconclusive verdict where there is no number to judge."""
    return GateResult(
        gate=gate,
        outcome=Outcome.INCONCLUSIVE,
        reason=reason,
        samples=samples,
        more_samples=more,
        numbers=numbers or {},
    )


def _gains(gate: Gate, interval: Interval, reference: float) -> tuple[float, float]:
    """Return the least and the greatest gain over the reference; losses are negative."""
    ends = [gate.sign * (end - reference) for end in (interval.lower, interval.upper)]
    return min(ends), max(ends)


def _is_sure(gate: Gate, evidence: Evidence) -> bool:
    return evidence.pass_p_value is None or evidence.pass_p_value() <= 1 - gate.confidence


def _is_worse(gate: Gate, evidence: Evidence, interval: Interval) -> bool:
    if evidence.p_value is not None and evidence.p_value > gate.level:
        return False
    if gate.family > 1:
        interval = evidence.interval(1 - 2 * gate.level)
    return _gains(gate, interval, evidence.reference)[1] < 0


def _more(gate: Gate, evidence: Evidence, interval: Interval) -> int | None:
    """Estimate from widths that shrink with the root of the number of samples."""
    gain = gate.sign * (evidence.value - evidence.reference)
    worst, best = _gains(gate, interval, evidence.reference)
    z = normal_quantile(gate.confidence)
    surer = 1 + normal_quantile(_POWER) / z
    fails = normal_quantile(1 - gate.level) / z
    tries = [
        (width * factor / distance) ** 2
        for width, factor, distance in (
            (gain - worst, surer, gain + gate.margin),
            (best - gain, surer + fails - 1, -gain),
        )
        if distance > 0 and math.isfinite(width)
    ]
    needed = min(tries, default=math.inf) * evidence.samples
    if needed > _MOST_SAMPLES:
        return None
    return max(1, math.ceil(needed) - evidence.samples)


def _reason(
    gate: Gate, evidence: Evidence, interval: Interval, outcome: Outcome, more: int | None
) -> str:
    seen = (
        f"`{gate.metric}` is {evidence.value:.4g}, the reference {evidence.reference:.4g}, "
        f"the margin {gate.margin:.4g}; between {interval.lower:.4g} and {interval.upper:.4g} "
        f"by {evidence.samples} samples"
    )
    percent = f"{gate.confidence * 100:g} %"
    match outcome:
        case Outcome.PASS:
            return f"{seen}: not worse by the margin, {percent} sure"
        case Outcome.FAIL:
            return f"{seen}: worse than the reference, {percent} sure"
        case _ if more is None:
            return f"{seen}: too near a bound for any number of samples to tell"
        case _:
            return f"{seen}: about {more} more samples are needed"
