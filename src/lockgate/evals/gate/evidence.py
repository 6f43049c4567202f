"""What a run shows of each case, so that gates can count, compare and pair.

Repetitions of a case are no new cases: they count as one, which passes if all of them do, and
scores what they score on average. A case whose provider or judge was down shows nothing.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.errors import InvalidConfig
from lockgate.evals.assertions.registry import is_judged
from lockgate.evals.results import Fault, Outcome, Result, read_results

SLICES, MEASURES, TRUTHS, PATHS = "slices", "measures", "truths", "paths"
CONFIDENCE, FEATURES = "confidence", "features"
"""Members of `Result.observed`."""
_MAX_BYTES = 512 << 20


@dataclass(slots=True)
class Seen:
    """One case of one column."""

    passed: bool = True
    times: int = 0
    score: float = 0.0
    named: dict[str, list[float]] = field(default_factory=dict)
    """Sums of scores by metric, and how often each was given."""
    measures: dict[str, list[float]] = field(default_factory=dict)
    labels: list[tuple[str, bool, bool]] = field(default_factory=list)
    """Type of judge, and whether a person and the judge said pass; of the first answer."""
    observed: JsonObject = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Count one answer to the case."""
        if not self.times:
            self.labels = [
                (judge_of(part), part["label"] == "pass", part["passed"] is True)
                for part in result.assertions
                if "label" in part
            ]
        self.times += 1
        self.passed = self.passed and result.outcome is Outcome.PASSED
        self.score += result.score
        for name, value in result.named.items():
            _sum(self.named, name, value[0])  # type: ignore[index]
        measured = result.observed.get(MEASURES)
        if isinstance(measured, Mapping):
            for name, value in measured.items():
                _sum(self.measures, name, value)
        self.observed = self.observed or result.observed

    def metric(self, name: str) -> float | None:
        """Return the mean of a named score; None: the case has none."""
        return _mean(self.named.get(name))

    def measure(self, name: str) -> float | None:
        """Return the mean of a measurement."""
        return _mean(self.measures.get(name))

    def slice(self, name: str) -> str:
        return str(self._of(SLICES, name))

    def truth(self, name: str) -> str | None:
        found = self._of(TRUTHS, name)
        return None if found is None else str(found)

    def at(self, path: str) -> Json:
        """Return what stood at a path of the output."""
        return self._of(PATHS, path)

    def confidence(self, path: str) -> float | None:
        """Return the answer's confidence: at a path, or the answer's own."""
        found = self.at(path) if path else self.observed.get(CONFIDENCE)
        if isinstance(found, str):
            try:
                found = float(found)
            except ValueError:
                return None
        return None if isinstance(found, bool) or not isinstance(found, int | float) else found

    @property
    def features(self) -> Sequence[JsonObject]:
        """What classifiers were given: `model`, `digest` and `tokens` of each row."""
        rows = self.observed.get(FEATURES)
        listed = rows if isinstance(rows, Sequence) and not isinstance(rows, str) else ()
        return [row for row in listed if isinstance(row, Mapping)]

    def _of(self, group: str, name: str) -> Json:
        held = self.observed.get(group)
        return held.get(name) if isinstance(held, Mapping) else None


@dataclass(slots=True)
class Evidence:
    """All cases by column (provider and prompt), each case by its digest."""

    columns: dict[tuple[str, str], dict[bytes, Seen]] = field(default_factory=dict)
    cases: set[bytes] = field(default_factory=set)
    judges: set[str] = field(default_factory=set)
    """Types of judges that were asked."""

    def add(self, result: Result) -> None:
        """Count a result."""
        case = bytes.fromhex(result.case)
        self.cases.add(case)
        if result.fault in {Fault.PROVIDER, Fault.JUDGE}:
            return
        self.judges |= {kind for p in result.assertions if is_judged(kind := judge_of(p))}
        column = self.columns.setdefault((result.provider, result.prompt), {})
        column.setdefault(case, Seen()).add(result)

    @property
    def dataset(self) -> Digest:
        """The digest of what was asked, whoever answered."""
        return dataset_digest(self.cases)


def dataset_digest(cases: Iterable[bytes]) -> Digest:
    """Return the digest of a set of cases, in whatever order they ran."""
    return Digest.of(b"".join(sorted(cases)))


def judge_of(part: JsonObject) -> str:
    """Return the type of an assertion, inverse or not: the same judge answers both."""
    return str(part["type"]).removeprefix("not-")


def gather(results: Iterable[Result]) -> Evidence:
    """Return what results show."""
    found = Evidence()
    for result in results:
        found.add(result)
    return found


def read_baseline(path: Path) -> Iterator[Result]:
    """Yield the results of an earlier run, from its JSON report or its JSON Lines.

    Raises:
        InvalidConfig: the file is neither, or too large.

    """
    if path.suffix.lower() != ".json":
        yield from read_results(path)
        return
    hint = "give what `lockgate eval -o FILE.json` or `--results FILE.jsonl` wrote"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InvalidConfig(
                f"`{path}` is larger than {_MAX_BYTES} bytes", hint="give the `.jsonl` of that run"
            )
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidConfig(f"`{path}` cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidConfig(f"`{path}` is not JSON: {error}", hint=hint) from None
    listed = value.get("results") if isinstance(value, dict) else None
    if not isinstance(listed, list):
        raise InvalidConfig(f"`{path}` has no list `results`", hint=hint)
    for number, item in enumerate(listed, 1):
        try:
            yield Result.read(item)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidConfig(
                f"`{path}`, result {number} is not a result: {error}", hint=hint
            ) from None


def _sum(held: dict[str, list[float]], name: str, value: Json) -> None:
    assert isinstance(value, int | float)
    sums = held.setdefault(name, [0.0, 0.0])
    sums[0] += value
    sums[1] += 1


def _mean(sums: list[float] | None) -> float | None:
    return None if sums is None else sums[0] / sums[1]
