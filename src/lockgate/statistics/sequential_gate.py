"""A gate that may be looked at after every case, and stopped as soon as it has a verdict."""

from typing import Final

from lockgate.domain.verdict import Outcome
from lockgate.statistics.gate import Evidence, Gate, GateResult, judge, too_few
from lockgate.statistics.intervals import Interval
from lockgate.statistics.sequential import MeanProcess

_SETTLED: Final = frozenset({Outcome.PASS, Outcome.FAIL})


class SequentialGate:
    """Judges a mean of bounded values as cases come, at the level of `gate` over all looks.

    Cases must come in an order that says nothing of their scores: shuffle them. Early verdicts
    cost power: where all cases are there anyway, `quality` finds smaller differences.
    """

    def __init__(
        self, gate: Gate, *, reference: float, low: float = 0.0, high: float = 1.0
    ) -> None:
        self._gate = gate
        self._reference = reference
        self._mean = MeanProcess(low=low, high=high, confidence=2 * gate.confidence - 1)
        self._strict = MeanProcess(low=low, high=high, confidence=1 - 2 * gate.level)

    @classmethod
    def paired(cls, gate: Gate, *, span: float = 1.0) -> "SequentialGate":
        """Return a gate of the mean difference of paired scores that lie within `span`."""
        return cls(gate, reference=0.0, low=-span, high=span)

    def add(self, value: float) -> None:
        """Count a case: a score, or candidate less baseline where paired.

        Raises:
            InvalidInput: the value is NaN or outside the range.

        """
        self._mean.add(value)
        if self._gate.family > 1:
            self._strict.add(value)

    def look(self) -> GateResult:
        """Return the verdict now. Looking costs nothing of the level."""
        if not self._mean.cases:
            return too_few(self._gate, 0, needed=self._gate.min_samples)
        return judge(
            self._gate,
            Evidence(
                value=self._mean.mean,
                reference=self._reference,
                samples=self._mean.cases,
                interval=self._interval,
            ),
        )

    @property
    def settled(self) -> bool:
        """Whether there is a pass or a fail, so that no further case is needed."""
        return self.look().outcome in _SETTLED

    def _interval(self, confidence: float) -> Interval:
        # `judge` asks at two confidences; in a family the second is the stricter one.
        if confidence == self._mean.interval.confidence:
            return self._mean.interval
        return self._strict.interval
