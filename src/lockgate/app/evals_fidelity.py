"""Rules on what an answer claims: labels, confidences, judges, and how far answers moved."""

from collections import Counter
from collections.abc import Sequence

from lockgate.app.evals_part import Part, both_values, every_value
from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput
from lockgate.evals.gate.evidence import Seen
from lockgate.evals.gate.rule import Rule
from lockgate.evals.javascript import text_of
from lockgate.statistics import calibration, fidelity, fidelity_by_baseline
from lockgate.statistics.agreement import require_agreement
from lockgate.statistics.classification import confusion
from lockgate.statistics.drift import Shift, psi, psi_of_categories
from lockgate.statistics.drift_gate import require_stable
from lockgate.statistics.gate import Gate, GateResult, too_few

_SAID = {True: "pass", False: "fail"}
_CATEGORIES = 50
"""Numbers of fewer different values are categories."""


def judge_calibration(rule: Rule, gate: Gate, part: Part, seed: int) -> GateResult:
    """Judge whether confidences mean what they say, alone or beside the baseline."""
    said = [seen.confidence(rule.confidences) for seen in part.seen]
    right = [seen.passed for seen in part.seen]
    if rule.limit is not None:
        return calibration.require_calibrated(
            gate, every_value(rule, said), right, limit=rule.limit, bins=rule.bins
        )
    assert part.before is not None
    new, old = both_values(rule, said, [seen.confidence(rule.confidences) for seen in part.before])
    was_right = [seen.passed for seen in part.before]
    return calibration.compare_calibration(
        gate, (new, right), (old, was_right), seed=seed, bins=rule.bins
    )


def reliability_table(rule: Rule, part: Part) -> Sequence[Json]:
    """Return the rows of the reliability table, for reports; none where a confidence is missing."""
    said = [seen.confidence(rule.confidences) for seen in part.seen]
    if not said or any(value is None for value in said):
        return ()
    right = [seen.passed for seen in part.seen]
    table = calibration.reliability([v for v in said if v is not None], right, bins=rule.bins)
    rows = table.document["bins"]
    return rows if isinstance(rows, list) else ()


def judge_fidelity(rule: Rule, gate: Gate, part: Part, seed: int) -> GateResult:
    """Judge how well a label is found, against a limit or the baseline."""
    truth = _truth(rule, part.seen)
    is_label = [label == rule.label for label in truth]
    if rule.metric == "auc":
        said = [seen.confidence(rule.confidences) for seen in part.seen]
        if rule.limit is not None:
            return fidelity.require_auc(gate, is_label, every_value(rule, said), limit=rule.limit)
        assert part.before is not None
        before = [seen.confidence(rule.confidences) for seen in part.before]
        return fidelity.compare_aucs(gate, is_label, *both_values(rule, said, before))
    called = [_label(seen.at(rule.predicted)) for seen in part.seen]
    if rule.limit is not None:
        table = confusion(truth, called)
        require = {"precision": fidelity.require_precision, "recall": fidelity.require_recall}
        return require.get(rule.metric, fidelity.require_f1)(
            gate, table, rule.label, limit=rule.limit
        )
    assert part.before is not None
    new = [label == rule.label for label in called]
    old = [_label(seen.at(rule.predicted)) == rule.label for seen in _noted(rule, part.before)]
    match rule.metric:
        case "precision":
            return fidelity_by_baseline.compare_precisions(gate, is_label, new, old, seed=seed)
        case "recall":
            return fidelity_by_baseline.compare_recalls(gate, is_label, new, old)
        case _:
            return fidelity_by_baseline.compare_f1s(gate, is_label, new, old, seed=seed)


def judge_agreement(rule: Rule, gate: Gate, part: Part) -> GateResult:
    """Judge how far a judge agrees with people, over the answers that they labelled."""
    labelled = [
        (_SAID[person], _SAID[judge])
        for seen in part.seen
        for kind, person, judge in seen.labels
        if not rule.judge or kind == rule.judge
    ]
    if not labelled or rule.limit is None:
        return too_few(gate, len(labelled), needed=gate.min_samples)
    people, judged = zip(*labelled, strict=True)
    return require_agreement(gate, people, judged, limit=rule.limit)


def judge_drift(rule: Rule, gate: Gate, part: Part) -> GateResult:
    """Judge how far the values at a place of the output are from those of the baseline."""
    assert part.before is not None
    assert rule.limit is not None
    if not part.seen:
        return too_few(gate, 0, needed=gate.min_samples)
    now = [seen.at(rule.of) for seen in part.seen]
    before = [seen.at(rule.of) for seen in _noted(rule, part.before)]
    return require_stable(gate, _moved(before, now), limit=rule.limit)


def _moved(before: Sequence[Json], now: Sequence[Json]) -> Shift:
    """Return the population stability index of numbers, or of labels; none is a label, too."""
    numbers = [
        [v for v in side if isinstance(v, int | float) and not isinstance(v, bool)]
        for side in (before, now)
    ]
    all_numbers = len(numbers[0]) == len(before) and len(numbers[1]) == len(now)
    if all_numbers and len({*numbers[0], *numbers[1]}) > _CATEGORIES:
        return psi(numbers[0], numbers[1])
    counts = [
        Counter("(none)" if v is None else text_of(v) for v in side) for side in (before, now)
    ]
    known = {*counts[0], *counts[1]}
    if len(known) == 1:
        counts[0]["(other)"] = 0  # one and the same label always: nothing has moved
    return psi_of_categories(counts[0], counts[1])


def _truth(rule: Rule, cases: Sequence[Seen]) -> list[str]:
    unlabelled = sum(seen.truth(rule.truth) is None for seen in cases)
    if unlabelled:
        raise InvalidInput(
            f"`{rule.name}`: {unlabelled} of {len(cases)} case(s) have no `{rule.truth}`",
            hint="give every case its true label in `metadata` or `vars`",
        )
    return [str(seen.truth(rule.truth)) for seen in cases]


def _noted(rule: Rule, before: Sequence[Seen]) -> Sequence[Seen]:
    """Return the baseline's cases, if its run noted what the rule looks at."""
    if before and not any(seen.observed for seen in before):
        raise InvalidInput(
            f"`{rule.name}`: the baseline has no value of any case",
            hint="evaluate the baseline with the same `x-gate`",
        )
    return before


def _label(value: Json) -> str | None:
    return None if value is None else text_of(value)
