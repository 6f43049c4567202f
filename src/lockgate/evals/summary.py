"""What a run comes to: counts, scores, and one status with its exit code."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.domain.verdict import Outcome as Ruled
from lockgate.evals import formula
from lockgate.evals.case_files import Broken
from lockgate.evals.gate.evidence import dataset_digest
from lockgate.evals.gate.rule import Gate
from lockgate.evals.gate.ruling import Ruling, worst_of
from lockgate.evals.results import Fault, Outcome, Result
from lockgate.evals.suite import DerivedMetric

MAX_KEPT = 1_000
"""Broken entries and degradations that are kept word for word; the others are counted."""


class Status(StrEnum):
    """How a run ended, from the outside."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOTHING_RAN = "nothing-ran"
    PROVIDER_DOWN = "provider-down"
    JUDGE_UNAVAILABLE = "judge-unavailable"
    UNCHANGED = "unchanged"
    """Nothing that the suite rests on has changed, so nothing had to run."""
    DEGRADED = "degraded"
    """Everything that ran passed, but not everything ran, or not as it was asked for."""


EXIT_CODES: Mapping[Status, int] = {
    Status.PASSED: 0,
    Status.UNCHANGED: 0,
    Status.FAILED: 100,  # promptfoo's
    Status.INCONCLUSIVE: 101,
    Status.NOTHING_RAN: 102,
    Status.PROVIDER_DOWN: 103,
    Status.JUDGE_UNAVAILABLE: 104,
    Status.DEGRADED: 105,
}


@dataclass(slots=True, kw_only=True)
class Summary:
    """Counts what a run does; small, however many cases there are."""

    gate: Gate = field(default_factory=Gate)
    derived: Sequence[DerivedMetric] = ()
    passed: int = 0
    failed: int = 0
    errors: int = 0
    resumed: int = 0
    score: float = 0.0
    faults: dict[Fault, int] = field(default_factory=dict)
    named: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Sum of weighted scores, and of weights, by metric."""
    broken: list[Broken] = field(default_factory=list)
    broken_count: int = 0
    degraded: dict[str, int] = field(default_factory=dict)
    """Reasons, and how many cases they touch."""
    interrupted: bool = False
    rulings: Sequence[Ruling] = ()
    """What the gate's rules say; set when all cases have run."""
    skipped: int = 0
    """Cases that were left out on purpose: the run is a sample."""
    untouched: int = 0
    """Cases that no change since the base touches."""
    cases: set[bytes] = field(default_factory=set)
    labelled: dict[str, dict[tuple[bool, bool], int]] = field(default_factory=dict)
    """By type of judge: how often a person and the judge said pass, in this order."""
    calibration: Mapping[str, JsonObject] = field(default_factory=dict)
    """How far each judge agrees with people, where cases are labelled."""

    def add(self, result: Result) -> None:
        """Count a result."""
        match result.outcome:
            case Outcome.PASSED:
                self.passed += 1
            case Outcome.FAILED:
                self.failed += 1
            case Outcome.ERROR:
                self.errors += 1
                self.faults[result.fault] = self.faults.get(result.fault, 0) + 1
        self.score += result.score
        if result.case:
            self.cases.add(bytes.fromhex(result.case))
        for part in result.assertions:
            if "label" in part:
                self._agree(part)
        for name, value in result.named.items():
            assert isinstance(value, Sequence)
            score, weight = _number(value[0]), _number(value[1])
            total, weighed = self.named.get(name, (0.0, 0.0))
            self.named[name] = total + score * weight, weighed + weight
        for reason in result.degraded:
            if reason in self.degraded or len(self.degraded) < MAX_KEPT:
                self.degraded[reason] = self.degraded.get(reason, 0) + 1

    def _agree(self, part: JsonObject) -> None:
        pair = part["label"] == "pass", part["passed"] is True
        counts = self.labelled.setdefault(str(part["type"]), {})
        counts[pair] = counts.get(pair, 0) + 1

    def add_broken(self, broken: Broken) -> None:
        """Count an entry that could not be read."""
        self.broken_count += 1
        if len(self.broken) < MAX_KEPT:
            self.broken.append(broken)

    @property
    def total(self) -> int:
        """How many cases have a result."""
        return self.passed + self.failed + self.errors

    @property
    def dataset(self) -> Digest:
        """The digest of what was asked, whoever answered."""
        return dataset_digest(self.cases)

    @property
    def is_degraded(self) -> bool:
        return bool(self.broken_count or self.degraded or self.interrupted)

    @property
    def successful(self) -> bool:
        """Whether the tool did all of its work, whatever the cases say (SARIF's word)."""
        return bool(self.total or self.untouched) and not self.is_degraded and not self.errors

    @property
    def status(self) -> Status:  # noqa: PLR0911  a table, the first that holds
        if not self.total:
            whole = self.untouched and not self.is_degraded
            return Status.UNCHANGED if whole else Status.NOTHING_RAN
        ruled = worst_of(self.rulings)
        missed = self._missed() and (self.failed or self.faults.get(Fault.CASE))
        if missed or ruled is Ruled.FAIL:
            return Status.FAILED
        if self.faults.get(Fault.PROVIDER):
            return Status.PROVIDER_DOWN
        if self.faults.get(Fault.JUDGE):
            return Status.JUDGE_UNAVAILABLE
        if self.is_degraded:
            return Status.DEGRADED
        if self.total < self.gate.min_cases or ruled is not Ruled.PASS:
            return Status.INCONCLUSIVE
        return Status.PASSED

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]

    def metrics(self) -> dict[str, float]:
        """Return the mean of each named score, and the derived ones."""
        found = {
            name: total / weight if weight > 0 else 0.0
            for name, (total, weight) in sorted(self.named.items())
        }
        sums = {name: total for name, (total, _) in self.named.items()}
        for metric in self.derived:
            names = {**sums, "__count": float(self.total)}
            value = formula.value(metric.formula, names)
            sums[metric.name] = found[metric.name] = 0.0 if value is None else value
        return found

    @property
    def document(self) -> dict[str, Json]:
        return {
            "status": str(self.status),
            "exit_code": self.exit_code,
            "execution_successful": self.successful,
            "cases": self.total,
            "passed": self.passed,
            "failed": self.failed,
            "errors": self.errors,
            "mean_score": self.score / self.total if self.total else 0.0,
            "faults": {str(fault): count for fault, count in sorted(self.faults.items())},
            "metrics": dict(self.metrics()),
            "broken": [
                {"path": b.place.path, "line": b.place.line, "problem": b.problem}
                for b in self.broken
            ],
            "broken_count": self.broken_count,
            "degraded": dict(sorted(self.degraded.items())),
            "gate": self.gate.document,
            "verdicts": [ruling.document for ruling in self.rulings],
            "dataset": str(self.dataset),
            "skipped": self.skipped,
            "untouched": self.untouched,
            "judges": dict(self.calibration),
        }

    def _missed(self) -> bool:
        """Say whether too few of the cases that were answered passed."""
        if self.gate.pass_rate is None:
            return False
        asked = self.passed + self.failed + self.faults.get(Fault.CASE, 0)
        return self.passed < self.gate.pass_rate * asked


def summarise(
    results: Iterable[Result], gate: Gate, derived: Sequence[DerivedMetric] = ()
) -> Summary:
    """Count finished results."""
    summary = Summary(gate=gate, derived=derived)
    for result in results:
        summary.add(result)
    return summary


def _number(value: Json) -> float:
    assert isinstance(value, int | float)
    return value
