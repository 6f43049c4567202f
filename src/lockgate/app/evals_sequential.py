"""Stops a run as soon as its gates have a verdict, at their level over all looks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lockgate.app.evals_gates import gate_of, require_same, ruling_of, score
from lockgate.app.evals_part import Part
from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput, UsageError
from lockgate.evals.expand import Case
from lockgate.evals.gate.evidence import Evidence, Seen
from lockgate.evals.gate.rule import Gate, Kind, Rule
from lockgate.evals.gate.ruling import Ruling
from lockgate.evals.observe import slice_of
from lockgate.evals.order import Order
from lockgate.evals.results import Fault, Result
from lockgate.statistics.gate import undecided
from lockgate.statistics.sequential_gate import SequentialGate

_Column = tuple[str, str]


@dataclass(slots=True)
class _Watched:
    rule: Rule
    column: _Column
    shown: str
    slice: str
    gate: SequentialGate
    cases: int = 0
    problem: str = ""

    @property
    def outcome(self) -> Outcome:
        return Outcome.INCONCLUSIVE if self.problem else self.gate.look().outcome


@dataclass(slots=True)
class Watch:
    """Takes results in order; a case counts when all of its rows are there."""

    watched: Sequence[_Watched]
    order: Order
    baseline: Evidence | None
    family: int
    _rows: dict[str, int] = field(default_factory=dict)
    _seen: dict[_Column, Seen] = field(default_factory=dict)

    def settled(self, result: Result) -> bool:
        """Count a result, and say whether the run may end: one gate fails, or all have passed."""
        if result.fault not in {Fault.PROVIDER, Fault.JUDGE}:
            self._seen.setdefault((result.provider, result.prompt), Seen()).add(result)
        rows = self._rows[result.case] = self._rows.get(result.case, 0) + 1
        if rows < self.order.rows[result.case]:
            return False
        for each in self.watched:
            self._count(each, bytes.fromhex(result.case))
        self._seen.clear()
        outcomes = {each.outcome for each in self.watched}
        return Outcome.FAIL in outcomes or outcomes == {Outcome.PASS}

    def rulings(self) -> tuple[Ruling, ...]:
        """Return the verdicts now."""
        return tuple(self._ruling(each) for each in self.watched)

    def _count(self, each: _Watched, case: bytes) -> None:
        seen = self._seen.get(each.column)
        if seen is None or (each.slice and each.slice != _slice(each.rule, seen)):
            return
        try:
            each.gate.add(self._value(each, seen, case))
        except InvalidInput as error:
            each.problem = each.problem or error.advice
        each.cases += 1

    def _value(self, each: _Watched, seen: Seen, case: bytes) -> float:
        rule = each.rule
        value = score(rule, seen)
        if value is None:
            raise InvalidInput(f"`{rule.name}`: a case has no value")
        if not rule.against_baseline:
            return value
        assert self.baseline is not None
        columns = self.baseline.columns
        before = columns.get(each.column) or next(iter(columns.values()))
        old = score(rule, before[case]) if case in before else None
        if old is None:
            raise InvalidInput(f"`{rule.name}`: a case has no value in the baseline")
        return value - old

    def _ruling(self, each: _Watched) -> Ruling:
        part = Part(each.shown, each.slice, (), None)
        result = each.gate.look()
        if each.problem:
            gate = gate_of(each.rule, family=self.family)
            result = undecided(gate, each.cases, reason=each.problem)
        return ruling_of(each.rule, part, result, sampled=each.cases < len(self.order.rows))


def watch(asked: Gate, order: Order, baseline: Evidence | None) -> Watch:
    """Return what looks at results after every case.

    Raises:
        UsageError: a rule cannot be looked at early, or the baseline is of another dataset.

    """
    if not asked.rules:
        raise UsageError(
            "there is no gate to stop early for",
            hint="write one: `x-gate: {quality: [{at_least: 0.9}]}`",
        )
    for rule in asked.rules:
        if rule.kind is not Kind.QUALITY:
            raise UsageError(
                f"`{rule.name}` needs all cases, so the run cannot stop early",
                hint="leave out --stop-early, or that gate",
            )
    cases = [item for item in order.items if isinstance(item, Case)]
    if baseline is not None:
        everything = Evidence(cases={bytes.fromhex(case.asked) for case in cases})
        require_same(everything, baseline, sampled=False)
    keys = list(dict.fromkeys(_keys(asked, cases)))
    several = len({column for _, column, _ in keys}) > 1
    if several and baseline is not None:
        missing = {column for _, column, _ in keys} - baseline.columns.keys()
        if missing:
            named = ", ".join(f"`{provider}`" for provider, _ in sorted(missing))
            raise UsageError(f"the baseline has no answers of {named}")
    watched = [
        _Watched(
            rule=rule,
            column=column,
            shown=f"{column[0]} {column[1][:60]}" if several else "",
            slice=slice_,
            gate=_gate(rule, len(keys)),
        )
        for rule, column, slice_ in keys
    ]
    return Watch(watched, order, baseline, len(keys))


def _gate(rule: Rule, family: int) -> SequentialGate:
    gate = gate_of(rule, family=family)
    if rule.limit is None:
        return SequentialGate.paired(gate)
    return SequentialGate(gate, reference=rule.limit)


def _keys(asked: Gate, cases: Sequence[Case]) -> Iterator[tuple[Rule, _Column, str]]:
    for rule in asked.rules:
        for case in cases:
            slice_ = f"{rule.slice}={slice_of(case, rule.slice)}" if rule.slice else ""
            yield rule, (case.provider.name, case.prompt.label), slice_


def _slice(rule: Rule, seen: Seen) -> str:
    return f"{rule.slice}={seen.slice(rule.slice)}"
