"""Rules on a run: joins what a suite's gates ask with the statistics that answer.

Imported only for a suite that has rules: it brings numpy.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate.app.evals_explain import Weights, judge_features
from lockgate.app.evals_fidelity import (
    judge_agreement,
    judge_calibration,
    judge_drift,
    judge_fidelity,
    reliability_table,
)
from lockgate.app.evals_part import Part, both_values, every_value
from lockgate.domain.digest import Json
from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput, NotFound, UsageError
from lockgate.evals.gate.evidence import Evidence, Seen
from lockgate.evals.gate.rule import MEASURES, PASS_RATE, QUANTILES, SCORE, Kind, Rule
from lockgate.evals.gate.rule import Gate as Asked
from lockgate.evals.gate.ruling import RELIABILITY, Ruling
from lockgate.statistics import performance, quality
from lockgate.statistics.gate import Direction, Gate, GateResult, undecided

_SCORES = (0.0, 1.0)


def no_weights(model: str, digest: str) -> Path:
    """Find no model: for rules that explain none."""
    raise NotFound(f"the weights of `{model}` ({digest}) are not here")


def rule_on(
    asked: Asked,
    run: Evidence,
    baseline: Evidence | None,
    *,
    sampled: bool = False,
    weights: Weights = no_weights,
) -> tuple[Ruling, ...]:
    """Return a verdict for each rule, column and slice; all of them are one family.

    `weights` finds the files of the classifiers that rules of features explain.

    Raises:
        UsageError: the baseline is of another dataset, or of other providers.

    """
    if baseline is not None:
        require_same(run, baseline, sampled=sampled)
    pairs = _columns(run, baseline)
    work = [
        (rule, part)
        for written in asked.rules
        for rule in _each_judge(written, run)
        for part in _parts(rule, pairs)
    ]
    return tuple(
        _ruled(_Asked(rule, part, asked.seed, weights), family=len(work), sampled=sampled)
        for rule, part in work
    )


def _each_judge(rule: Rule, run: Evidence) -> Sequence[Rule]:
    """Return a rule for each type of judge, where one names none: their labels are not mixed."""
    if rule.kind is not Kind.JUDGES or rule.judge or not run.judges:
        return (rule,)
    return [replace(rule, judge=judge) for judge in sorted(run.judges)]


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


@dataclass(frozen=True, slots=True)
class _Asked:
    """One verdict's work."""

    rule: Rule
    part: Part
    seed: int
    weights: Weights


def _ruled(asked: _Asked, *, family: int, sampled: bool) -> Ruling:
    rule, part = asked.rule, asked.part
    gate = gate_of(rule, family=max(1, family))
    try:
        result = _judged(asked, gate)
    except InvalidInput as error:
        result = undecided(gate, len(part.seen), reason=error.advice)
    ruling = ruling_of(rule, part, result, sampled=sampled)
    if rule.kind is Kind.CALIBRATION and result.value is not None:
        table = reliability_table(rule, part)
        ruling = replace(ruling, details={**ruling.details, RELIABILITY: list(table)})
    return ruling


def _judged(asked: _Asked, gate: Gate) -> GateResult:  # noqa: PLR0911  a table
    rule, part, seed = asked.rule, asked.part, asked.seed
    if rule.against_baseline and part.before is None:
        raise InvalidInput(f"`{rule.name}` needs a baseline", hint="give one: --baseline FILE")
    match rule.kind:
        case Kind.QUALITY:
            return _quality(rule, gate, part, seed)
        case Kind.PERFORMANCE:
            return _performance(rule, gate, part, seed)
        case Kind.CALIBRATION:
            return judge_calibration(rule, gate, part, seed)
        case Kind.FIDELITY:
            return judge_fidelity(rule, gate, part, seed)
        case Kind.JUDGES:
            return judge_agreement(rule, gate, part)
        case Kind.DRIFT:
            return judge_drift(rule, gate, part)
        case Kind.FEATURES:
            return judge_features(rule, gate, part, seed, asked.weights)


def _quality(rule: Rule, gate: Gate, part: Part, seed: int) -> GateResult:
    ours = [score(rule, seen) for seen in part.seen]
    if rule.limit is None:
        assert part.before is not None
        old = [score(rule, seen) for seen in part.before]
        new_scores, old_scores = both_values(rule, ours, old)
        if rule.statistic == "rate":
            return quality.compare_rates(gate, new_scores, old_scores)
        return quality.compare_means(gate, new_scores, old_scores, seed=seed, span=_SCORES)
    values = every_value(rule, ours)
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
        values = every_value(rule, ours)
        return performance.require_quantile(
            gate, values, q=QUANTILES[rule.statistic], limit=rule.limit
        )
    assert part.before is not None
    new, old = both_values(rule, ours, [seen.measure(name) for seen in part.before])
    if rule.statistic == "total":
        return performance.compare_totals(gate, new, old, seed=seed)
    return performance.compare_quantiles(gate, new, old, q=QUANTILES[rule.statistic], seed=seed)


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
