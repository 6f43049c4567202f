"""Rules on a run: joins what a suite's gates ask with the statistics that answer.

Imported only for a suite that has rules: it brings numpy.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lockgate.domain.digest import Json
from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput, UsageError
from lockgate.evals.gate.evidence import Evidence, Seen
from lockgate.evals.gate.rule import MEASURES, PASS_RATE, QUANTILES, SCORE, Kind, Rule
from lockgate.evals.gate.rule import Gate as Asked
from lockgate.evals.gate.ruling import Ruling
from lockgate.evals.javascript import text_of
from lockgate.statistics import calibration, fidelity, performance, quality
from lockgate.statistics.classification import confusion
from lockgate.statistics.gate import Direction, Gate, GateResult, undecided

_SCORES = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Part:
    """The cases that one verdict is about, and the same ones of the baseline."""

    column: str
    slice: str
    seen: Sequence[Seen]
    before: Sequence[Seen] | None


def rule_on(
    asked: Asked, run: Evidence, baseline: Evidence | None, *, sampled: bool = False
) -> tuple[Ruling, ...]:
    """Return a verdict for each rule, column and slice; all of them are one family.

    Raises:
        UsageError: the baseline is of another dataset, or of other providers.

    """
    if baseline is not None:
        require_same(run, baseline, sampled=sampled)
    pairs = _columns(run, baseline)
    work = [(rule, part) for rule in asked.rules for part in _parts(rule, pairs)]
    return tuple(
        _ruled(rule, part, seed=asked.seed, family=max(1, len(work)), sampled=sampled)
        for rule, part in work
    )


def gate_of(rule: Rule, *, family: int) -> Gate:
    """Return the gate as the statistics know it."""
    return Gate(
        metric=rule.name,
        direction=Direction.LOWER if rule.lower_is_better else Direction.HIGHER,
        margin=rule.margin,
        confidence=rule.confidence,
        min_samples=rule.min_cases,
        family=family,
    )


def ruling_of(rule: Rule, part: Part, result: GateResult, *, sampled: bool) -> Ruling:
    """Return a verdict as reports have it."""
    ends = result.interval
    return Ruling(
        name=rule.name,
        outcome=result.outcome,
        reason=result.reason,
        column=part.column,
        slice=part.slice,
        samples=result.samples,
        value=result.value,
        reference=result.reference,
        interval=(ends.lower, ends.upper)
        if ends and math.isfinite(ends.lower) and math.isfinite(ends.upper)
        else None,
        details=_finite(result.document),
        sampled=sampled,
        line=rule.line,
    )


def require_same(run: Evidence, baseline: Evidence, *, sampled: bool) -> None:
    """Let a baseline pass that answered every case of the run, and no others unless sampled.

    Raises:
        UsageError: it is of another dataset; both digests are told.

    """
    missing = run.cases - baseline.cases
    extra = baseline.cases - run.cases
    if missing or (extra and not sampled):
        raise UsageError(
            f"the baseline is of the dataset {baseline.dataset}, the run of {run.dataset}: "
            f"{len(missing)} case(s) are only in the run, {len(extra)} only in the baseline",
            hint="evaluate the baseline's release on this dataset: "
            "`lockgate eval … --results baseline.jsonl`",
        )


def _columns(
    run: Evidence, baseline: Evidence | None
) -> Sequence[tuple[str, Mapping[bytes, Seen], Mapping[bytes, Seen] | None]]:
    """Pair the columns of two runs by provider and prompt, or one with one."""
    named = len(run.columns) > 1
    found = []
    for column, cases in sorted(run.columns.items()):
        before = None
        if baseline is not None:
            before = baseline.columns.get(column)
            if before is None and not named and len(baseline.columns) == 1:
                before = next(iter(baseline.columns.values()))
            if before is None:
                others = ", ".join(f"`{p} {q[:40]}`" for p, q in sorted(baseline.columns))
                raise UsageError(
                    f"the baseline has no answers of `{column[0]}` to `{column[1][:40]}`, "
                    f"only of {others or 'nobody'}",
                    hint="evaluate the baseline with the same providers and prompts",
                )
        found.append((f"{column[0]} {column[1][:60]}" if named else "", cases, before))
    return found


def _parts(
    rule: Rule,
    columns: Sequence[tuple[str, Mapping[bytes, Seen], Mapping[bytes, Seen] | None]],
) -> Iterator[Part]:
    if not columns:
        yield Part("", "", (), () if rule.against_baseline else None)
    for name, cases, before in columns:
        order = sorted(cases if before is None else cases.keys() & before.keys())
        slices: dict[str, list[bytes]] = {}
        for case in order:
            value = f"{rule.slice}={cases[case].slice(rule.slice)}" if rule.slice else ""
            slices.setdefault(value, []).append(case)
        for value, inside in sorted(slices.items()) or [("", [])]:
            yield Part(
                column=name,
                slice=value,
                seen=[cases[case] for case in inside],
                before=None if before is None else [before[case] for case in inside],
            )


def _ruled(rule: Rule, part: Part, *, seed: int, family: int, sampled: bool) -> Ruling:
    gate = gate_of(rule, family=family)
    try:
        result = _judged(rule, gate, part, seed)
    except InvalidInput as error:
        result = undecided(gate, len(part.seen), reason=error.advice)
    return ruling_of(rule, part, result, sampled=sampled)


def _judged(rule: Rule, gate: Gate, part: Part, seed: int) -> GateResult:
    if rule.against_baseline and part.before is None:
        raise InvalidInput(f"`{rule.name}` needs a baseline", hint="give one: --baseline FILE")
    match rule.kind:
        case Kind.QUALITY:
            return _quality(rule, gate, part, seed)
        case Kind.PERFORMANCE:
            return _performance(rule, gate, part, seed)
        case Kind.CALIBRATION:
            return _calibration(rule, gate, part)
        case Kind.FIDELITY:
            return _fidelity(rule, gate, part)


def _quality(rule: Rule, gate: Gate, part: Part, seed: int) -> GateResult:
    ours = [score(rule, seen) for seen in part.seen]
    if rule.limit is None:
        assert part.before is not None
        old = [score(rule, seen) for seen in part.before]
        new_scores, old_scores = _both(rule, ours, old)
        if rule.statistic == "rate":
            return quality.compare_rates(gate, new_scores, old_scores)
        return quality.compare_means(gate, new_scores, old_scores, seed=seed, span=_SCORES)
    values = _all(rule, ours)
    if rule.statistic == "rate":
        passed = sum(value == 1 for value in values)
        if any(value not in _SCORES for value in values):
            raise InvalidInput(
                f"`{rule.metric}` has scores that are neither 0 nor 1, so it is no rate",
                hint="write `statistic: mean`",
            )
        return quality.require_rate(gate, passed, len(values), limit=rule.limit)
    return quality.require_mean(gate, values, limit=rule.limit, seed=seed, span=_SCORES)


def score(rule: Rule, seen: Seen) -> float | None:
    """Return what a rule of quality sees of a case; None: the case has no such metric."""
    if rule.metric == PASS_RATE:
        return float(seen.passed)
    if rule.metric == SCORE:
        return seen.score / seen.times
    return seen.metric(rule.metric)


def _performance(rule: Rule, gate: Gate, part: Part, seed: int) -> GateResult:
    name = MEASURES[rule.metric][0]
    ours = [seen.measure(name) for seen in part.seen]
    if rule.limit is not None:
        values = _all(rule, ours)
        return performance.require_quantile(
            gate, values, q=QUANTILES[rule.statistic], limit=rule.limit
        )
    assert part.before is not None
    new, old = _both(rule, ours, [seen.measure(name) for seen in part.before])
    if rule.statistic == "total":
        return performance.compare_totals(gate, new, old, seed=seed)
    return performance.compare_quantiles(gate, new, old, q=QUANTILES[rule.statistic], seed=seed)


def _calibration(rule: Rule, gate: Gate, part: Part) -> GateResult:
    assert rule.limit is not None
    said = _all(rule, [seen.confidence(rule.confidences) for seen in part.seen])
    right = [seen.passed for seen in part.seen]
    return calibration.require_calibrated(gate, said, right, limit=rule.limit, bins=rule.bins)


def _fidelity(rule: Rule, gate: Gate, part: Part) -> GateResult:
    assert rule.limit is not None
    unlabelled = sum(seen.truth(rule.truth) is None for seen in part.seen)
    if unlabelled:
        raise InvalidInput(
            f"`{rule.name}`: {unlabelled} of {len(part.seen)} case(s) have no `{rule.truth}`",
            hint="give every case its true label in `metadata` or `vars`",
        )
    truth = [str(seen.truth(rule.truth)) for seen in part.seen]
    if rule.metric == "auc":
        said = _all(rule, [seen.confidence(rule.confidences) for seen in part.seen])
        is_label = [label == rule.label for label in truth]
        return fidelity.require_auc(gate, is_label, said, limit=rule.limit)
    called = [_label(seen.at(rule.predicted)) for seen in part.seen]
    table = confusion(truth, called)
    match rule.metric:
        case "precision":
            return fidelity.require_precision(gate, table, rule.label, limit=rule.limit)
        case "recall":
            return fidelity.require_recall(gate, table, rule.label, limit=rule.limit)
        case _:
            return fidelity.require_f1(gate, table, rule.label, limit=rule.limit)


def _label(value: Json) -> str | None:
    return None if value is None else text_of(value)


def _all(rule: Rule, values: Sequence[float | None]) -> list[float]:
    """Return the values, if every case has one: those that lack are not missing at random.

    Raises:
        InvalidInput: some have none.

    """
    missing = sum(value is None for value in values)
    if missing:
        raise InvalidInput(f"`{rule.name}`: {missing} of {len(values)} case(s) have no value")
    return [value for value in values if value is not None]


def _both(
    rule: Rule, new: Sequence[float | None], old: Sequence[float | None]
) -> tuple[list[float], list[float]]:
    missing = sum(value is None for value in old)
    if missing:
        raise InvalidInput(
            f"`{rule.name}`: {missing} of {len(old)} case(s) have no value in the baseline",
            hint="evaluate the baseline with the same `x-gate`",
        )
    return _all(rule, new), _all(rule, old)


def _finite(value: Mapping[str, Json]) -> dict[str, Json]:
    """Return a document with null for what JSON cannot hold, such as an open end."""
    return {name: _plain(item) for name, item in value.items()}


def _plain(value: Json) -> Json:
    match value:
        case Mapping():
            return _finite(value)
        case float():  # numpy's doubles are floats, too
            return float(value) if math.isfinite(value) else None
        case bool() | None | str() | int():
            return value
        case _:
            return [_plain(item) for item in value]


def inconclusive(ruling: Ruling, reason: str) -> Ruling:
    """Return a pass taken back: what it rests on supports less."""
    if ruling.outcome is not Outcome.PASS:
        return ruling
    return replace(ruling, outcome=Outcome.INCONCLUSIVE, reason=f"{reason}: {ruling.reason}")
