"""Gates of classifiers and detectors against a baseline on the same cases: a paired comparison.

Recall is a rate of the same cases in both runs, so it is tested exactly, as pass rates are.
Precision and F1 have other denominators in each run: their difference is resampled case by case.
Where no call differs, resampling shows nothing, and the bound is that of what was never seen.
AUC is in `fidelity`, by DeLong; calibration in `calibration`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import Places
from lockgate.statistics.gate import Gate, GateResult, too_few
from lockgate.statistics.quality import Measure, compare_rates, judge_measure

_Mask = npt.NDArray[np.bool_]


def compare_recalls(
    gate: Gate, truth: Sequence[bool], candidate: Sequence[bool], baseline: Sequence[bool]
) -> GateResult:
    """Judge, of the cases that are so, the shares that both runs called so; exactly.

    Raises:
        InvalidInput: the lengths differ.

    """
    is_so, new, old = _masks(truth, candidate, baseline)
    return compare_rates(gate, new[is_so].astype(float), old[is_so].astype(float))


def compare_precisions(
    gate: Gate,
    truth: Sequence[bool],
    candidate: Sequence[bool],
    baseline: Sequence[bool],
    *,
    seed: int,
) -> GateResult:
    """Judge, of the cases that each run called so, the shares that are so.

    `min_samples` is asked of the calls of the run with fewer.

    Raises:
        InvalidInput: the lengths differ.

    """
    is_so, new, old = _masks(truth, candidate, baseline)
    calls = int(min(new.sum(), old.sum()))

    def changed(share: float) -> float:
        return _most(share * is_so.size, of=calls)

    return _compared(gate, _precision, (is_so, new, old), counted=calls, changed=changed, seed=seed)


def compare_f1s(
    gate: Gate,
    truth: Sequence[bool],
    candidate: Sequence[bool],
    baseline: Sequence[bool],
    *,
    seed: int,
) -> GateResult:
    """Judge the difference of the F1 of two runs. `min_samples` is asked of the cases that are so.

    Raises:
        InvalidInput: the lengths differ.

    """
    is_so, new, old = _masks(truth, candidate, baseline)
    support = int(is_so.sum())

    def changed(share: float) -> float:
        # 2 TP / (called + support): a right call that is lost takes 2 of it, and 1 below.
        return _most(2 * share * is_so.size, of=support + int(min(new.sum(), old.sum())))

    return _compared(gate, _f1, (is_so, new, old), counted=support, changed=changed, seed=seed)


def _compared(
    gate: Gate,
    measure: Callable[[_Mask, _Mask], float],
    masks: tuple[_Mask, _Mask, _Mask],
    *,
    counted: int,
    changed: Callable[[float], float],
    seed: int,
) -> GateResult:
    if counted < gate.min_samples:
        return too_few(gate, counted, needed=gate.min_samples)
    is_so, new, old = masks

    def difference(places: Places) -> float:
        so = is_so[places]
        return measure(so, new[places]) - measure(so, old[places])

    def swapped(at: _Mask) -> float:
        return measure(is_so, np.where(at, old, new)) - measure(is_so, np.where(at, new, old))

    paired = Measure(of=difference, cases=is_so.size, seed=seed, changed=changed, swapped=swapped)
    result = judge_measure(gate, paired, reference=0.0)
    return replace(
        result, numbers={"candidate": measure(is_so, new), "baseline": measure(is_so, old)}
    )


def _precision(is_so: _Mask, called: _Mask) -> float:
    calls = int(called.sum())
    return int((is_so & called).sum()) / calls if calls else np.nan


def _f1(is_so: _Mask, called: _Mask) -> float:
    counted = int(called.sum()) + int(is_so.sum())
    return 2 * int((is_so & called).sum()) / counted if counted else np.nan


def _most(moved: float, *, of: int) -> float:
    return min(1.0, moved / max(1.0, of - moved))


def _masks(
    truth: Sequence[bool], candidate: Sequence[bool], baseline: Sequence[bool]
) -> tuple[_Mask, _Mask, _Mask]:
    if not len(truth) == len(candidate) == len(baseline):
        raise InvalidInput(
            f"`{len(truth)}` labels, `{len(candidate)}` calls of the candidate and "
            f"`{len(baseline)}` of the baseline are not of the same cases"
        )
    is_so, new, old = (np.asarray(row, dtype=np.bool_) for row in (truth, candidate, baseline))
    return is_so, new, old
