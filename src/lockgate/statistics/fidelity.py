"""Gates of classifiers and detectors: precision, recall, F1 and AUC against limits.

F1 is 2 J / (1 + J) for J = TP / (TP + FP + FN), and J is a plain proportion of the cases that are
positive or were called so, whose exact bounds give those of F1. Other measures, and comparisons of
any measure with a baseline, are in `quality`.
"""

from collections.abc import Sequence
from dataclasses import replace

from lockgate.errors import InvalidInput
from lockgate.statistics.classification import Confusion
from lockgate.statistics.gate import Evidence, Gate, GateResult, judge, too_few
from lockgate.statistics.intervals import Interval, clopper_pearson
from lockgate.statistics.quality import require_rate
from lockgate.statistics.roc import placements
from lockgate.statistics.samples import Numbers, checked_counts


def require_precision(gate: Gate, table: Confusion, label: str, *, limit: float) -> GateResult:
    """Judge, of the cases that were called `label`, the share that are; by exact bounds.

    Raises:
        InvalidInput: no case is or was called so.

    """
    right, called, _ = _counts(table, label)
    return require_rate(gate, right, called, limit=limit)


def require_recall(gate: Gate, table: Confusion, label: str, *, limit: float) -> GateResult:
    """Judge, of the cases that are `label`, the share that were called so; by exact bounds.

    Raises:
        InvalidInput: no case is or was called so.

    """
    right, _, support = _counts(table, label)
    return require_rate(gate, right, support, limit=limit)


def require_f1(gate: Gate, table: Confusion, label: str, *, limit: float) -> GateResult:
    """Judge the F1 of one label by exact bounds; cases that it does not touch do not count.

    Raises:
        InvalidInput: no case is or was called so.

    """
    right, called, support = _counts(table, label)
    touched = called + support - right
    checked_counts(right, touched)

    def interval(confidence: float) -> Interval:
        ends = clopper_pearson(right, touched, confidence=confidence)
        return Interval(
            lower=2 * ends.lower / (1 + ends.lower),
            upper=2 * ends.upper / (1 + ends.upper),
            confidence=confidence,
            method=ends.method,
        )

    return judge(
        gate,
        Evidence(
            value=2 * right / (called + support),
            reference=limit,
            samples=touched,
            interval=interval,
            numbers={"right": right, "called": called, "support": support},
        ),
    )


def require_auc(gate: Gate, truth: Sequence[bool], scores: Numbers, *, limit: float) -> GateResult:
    """Judge the area under the ROC curve; `min_samples` is asked of each class.

    Raises:
        InvalidInput: a score is NaN, or the lengths differ.

    """
    few = _few_of_a_class(gate, truth, scores)
    if few:
        return few
    area = placements(truth, scores)
    return judge(
        gate,
        Evidence(
            value=area.value,
            reference=limit,
            samples=len(truth),
            interval=area.interval,
            numbers={"positive": area.of_positives.size, "negative": area.of_negatives.size},
        ),
    )


def compare_aucs(
    gate: Gate, truth: Sequence[bool], candidate: Numbers, baseline: Numbers
) -> GateResult:
    """Judge the difference of the areas of two runs on the same cases.

    Raises:
        InvalidInput: a score is NaN, or the lengths differ.

    """
    few = _few_of_a_class(gate, truth, candidate) or _few_of_a_class(gate, truth, baseline)
    if few:
        return few
    new, old = placements(truth, candidate), placements(truth, baseline)
    apart = replace(
        new,
        value=new.value - old.value,
        of_positives=new.of_positives - old.of_positives,
        of_negatives=new.of_negatives - old.of_negatives,
        least=-1.0,
    )
    return judge(
        gate,
        Evidence(
            value=apart.value,
            reference=0.0,
            samples=len(truth),
            interval=apart.interval,
            numbers={"candidate": new.value, "baseline": old.value},
        ),
    )


def _few_of_a_class(gate: Gate, truth: Sequence[bool], scores: Numbers) -> GateResult | None:
    if len(truth) != len(scores):
        raise InvalidInput(f"`{len(truth)}` labels, and `{len(scores)}` scores")
    ups = sum(map(bool, truth))
    smaller = min(ups, len(truth) - ups)
    needed = max(2, gate.min_samples)
    return too_few(gate, smaller, needed=needed) if smaller < needed else None


def _counts(table: Confusion, label: str) -> tuple[int, int, int]:
    """Return how many cases are rightly called `label`, are called it, and are it."""
    found = next((quality for quality in table.classes if quality.label == label), None)
    if found is None:
        raise InvalidInput(
            f"no case is `{label}` or was called so",
            hint=f"the labels are: {', '.join(table.labels)}",
        )
    at = table.labels.index(label)
    return int(table.counts[at, at]), int(table.counts[:, at].sum()), found.support
