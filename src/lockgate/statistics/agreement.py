"""A gate on how far a judge agrees with people beyond chance: Cohen's kappa against a limit.

The large-sample interval of Fleiss, Cohen and Everitt (1969) is too narrow where the two hardly
ever disagree: without a disagreement its width is 0. So each end is the farther one of two: theirs,
and that of the exact interval of the share of agreement (Clopper and Pearson 1934), at the chance
agreement that was seen.
"""

from collections.abc import Sequence

from lockgate.statistics.classification import kappa
from lockgate.statistics.gate import Evidence, Gate, GateResult, judge, too_few
from lockgate.statistics.intervals import Interval, clopper_pearson

LEAST = -1.0
"""The least that kappa can be."""


def require_agreement(
    gate: Gate, people: Sequence[str], judged: Sequence[str], *, limit: float
) -> GateResult:
    """Judge kappa of two labellers of the same cases against a limit.

    Raises:
        InvalidInput: both used one and the same label only, or the lengths differ.

    """
    if len(people) < gate.min_samples or not people:
        return too_few(gate, len(people), needed=gate.min_samples)
    seen = kappa(people, judged)
    return judge(
        gate,
        Evidence(
            value=seen.kappa,
            reference=limit,
            samples=seen.cases,
            interval=lambda confidence: kappa_interval(people, judged, confidence=confidence),
            numbers={"agreement": seen.observed, "by_chance": seen.expected},
        ),
    )


def kappa_interval(
    first: Sequence[str], second: Sequence[str], *, confidence: float = 0.95
) -> Interval:
    """Return an interval of kappa that has a width even where the two always agree.

    Raises:
        InvalidInput: both used one and the same label only, or the lengths differ.

    """
    seen = kappa(first, second, confidence=confidence)
    agreed = round(seen.observed * seen.cases)
    share = clopper_pearson(agreed, seen.cases, confidence=confidence)
    by_share = [(end - seen.expected) / (1 - seen.expected) for end in (share.lower, share.upper)]
    return Interval(
        lower=max(LEAST, min(seen.interval.lower, by_share[0])),
        upper=min(1.0, max(seen.interval.upper, by_share[1])),
        confidence=confidence,
        method="fleiss-1969-or-exact",
    )
