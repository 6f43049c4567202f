"""Gates of drift: of one look, and of one look of many."""

from typing import Protocol

from lockgate.errors import InvalidInput
from lockgate.statistics.exchange import ExchangeProcess
from lockgate.statistics.gate import Direction, Evidence, Gate, GateResult, judge
from lockgate.statistics.intervals import Interval


class Moved(Protocol):
    """A distance from a reference: `drift.Shift` or `kernel.Discrepancy`."""

    @property
    def value(self) -> float: ...
    @property
    def p_value(self) -> float:
        """Of "nothing has moved"."""

    @property
    def reference(self) -> int:
        """Samples of the reference."""

    @property
    def current(self) -> int: ...
    def interval(self, confidence: float = 0.95) -> Interval: ...


def require_stable(gate: Gate, moved: Moved, *, limit: float) -> GateResult:
    """Judge one look: fails if the distance is surely above the limit, and a test agrees.

    For PSI a limit of 0.1 and a margin of 0.15 are customary: below 0.1 nothing has moved, above
    0.25 much has. Not for a look every night: each is one more chance of a false alarm.

    Raises:
        InvalidInput: the gate wants a larger distance.

    """
    return _judge(gate, moved, limit=limit, p_value=moved.p_value)


def watch(gate: Gate, moved: Moved, process: ExchangeProcess, *, limit: float) -> GateResult:
    """Judge tonight's look of many: fails if the process of all nights agrees.

    While nothing drifts, any of the nights fails with at most the probability of one look.
    `moved` says how far tonight's values are from the reference, `process` whether that is noise.

    Raises:
        InvalidInput: the gate wants a larger distance.

    """
    return _judge(gate, moved, limit=limit, p_value=process.p_value)


def _judge(gate: Gate, moved: Moved, *, limit: float, p_value: float) -> GateResult:
    if gate.direction is not Direction.LOWER:
        raise InvalidInput(
            f"`{gate.metric}` is a distance, and the gate's direction is `{gate.direction}`",
            hint='give it the direction "lower"',
        )
    return judge(
        gate,
        Evidence(
            value=moved.value,
            reference=limit,
            samples=min(moved.reference, moved.current),
            interval=moved.interval,
            p_value=p_value,
            numbers={"reference": moved.reference, "current": moved.current},
        ),
    )
