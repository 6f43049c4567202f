"""Which traces are recorded, decided when they begin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lockgate.telemetry.trace_context import Parent

_LOW = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingRule:
    """The share of traces to record of a route, a task, or both. Empty: of any."""

    route: str = ""
    task: str = ""
    ratio: float

    def __post_init__(self) -> None:
        if not 0 <= self.ratio <= 1:
            raise ValueError(f"a ratio is between 0 and 1, not {self.ratio}")


class Sampler:
    """The first rule that fits decides; without one nothing is recorded.

    A caller's decision is followed within `most_per_s`: not to record always, to record as long as
    the rate allows, so that nobody outside can make every request a costly one.
    """

    def __init__(
        self,
        rules: Sequence[SamplingRule],
        *,
        clock: Callable[[], float],
        most_per_s: float = 100.0,
        follow_caller: bool = True,
    ) -> None:
        self._rules = tuple(rules)
        self._thresholds: dict[tuple[str, str], int] = {}
        self._clock = clock
        self._most_per_s = most_per_s
        self._follow_caller = follow_caller
        self._saved = most_per_s
        self._at = clock()

    def decide(self, trace_id: int, parent: Parent | None, *, route: str, task: str = "") -> bool:
        """Say whether to record a trace. The same id gets the same answer on every replica."""
        threshold = self._thresholds.get((route, task))
        if threshold is None:
            threshold = self._threshold(route, task)
        if parent is not None and self._follow_caller:
            wanted = parent.sampled and threshold > 0
        else:
            wanted = (trace_id & _LOW) < threshold
        return wanted and self._has_room()

    def _threshold(self, route: str, task: str) -> int:
        fits = (r for r in self._rules if r.route in {"", route} and r.task in {"", task})
        rule = next(fits, None)
        threshold = 0 if rule is None else round(rule.ratio * (_LOW + 1))
        if len(self._thresholds) < 10_000:  # noqa: PLR2004  routes and tasks are few; be sure
            self._thresholds[route, task] = threshold
        return threshold

    def _has_room(self) -> bool:
        now = self._clock()
        self._saved = min(self._most_per_s, self._saved + (now - self._at) * self._most_per_s)
        self._at = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
