"""Two classifiers on the same cases: compared in pairs, never a verdict on too few."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import f1_score, precision_score

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.calibration import compare_calibration
from lockgate.statistics.fidelity_by_baseline import (
    compare_f1s,
    compare_precisions,
    compare_recalls,
)
from lockgate.statistics.gate import Direction, Gate, GateResult

Calls = npt.NDArray[np.bool_]
DRAW = np.random.default_rng(11)
TRUTH = np.arange(400) % 2 == 0
OLD = np.where(TRUTH, DRAW.random(400) < 0.9, DRAW.random(400) < 0.1).astype(bool)


def lost(count: int, calls: Calls = OLD) -> Calls:
    """Return calls of which so many right ones are lost."""
    new = calls.copy()
    new[np.flatnonzero(TRUTH & calls)[:count]] = False
    return new


def wrongly_called(count: int) -> Calls:
    new = OLD.copy()
    new[np.flatnonzero(~TRUTH & ~OLD)[:count]] = True
    return new


def f1s(gate: Gate, truth: Calls, new: Calls, old: Calls) -> GateResult:
    return compare_f1s(gate, truth.tolist(), new.tolist(), old.tolist(), seed=3)


def precisions(gate: Gate, truth: Calls, new: Calls, old: Calls) -> GateResult:
    return compare_precisions(gate, truth.tolist(), new.tolist(), old.tolist(), seed=3)


def recalls(gate: Gate, truth: Calls, new: Calls, old: Calls) -> GateResult:
    return compare_recalls(gate, truth.tolist(), new.tolist(), old.tolist())


COMPARE = (f1s, precisions, recalls)


@pytest.mark.parametrize("compare", COMPARE)
def test_two_equal_runs_pass_on_many_cases_and_not_on_few(
    compare: Callable[..., GateResult],
) -> None:
    gate = Gate(metric="m", margin=0.05)

    assert compare(gate, TRUTH, OLD, OLD).outcome is Outcome.PASS
    few = compare(gate, TRUTH[:64], OLD[:64], OLD[:64])
    assert few.outcome is Outcome.INCONCLUSIVE
    assert few.interval is None or few.interval.lower < -0.05


@pytest.mark.parametrize(
    ("compare", "new"),
    [(f1s, lost(30)), (recalls, lost(20)), (precisions, wrongly_called(30))],
)
def test_what_got_worse_fails(compare: Callable[..., GateResult], new: Calls) -> None:
    result = compare(Gate(metric="m", margin=0.02), TRUTH, new, OLD)

    assert result.outcome is Outcome.FAIL
    assert result.value is not None
    assert result.value < -0.05


@pytest.mark.parametrize(("compare", "theirs"), [(f1s, f1_score), (precisions, precision_score)])
def test_the_difference_is_that_of_scikit_learn(
    compare: Callable[..., GateResult], theirs: Callable[[Calls, Calls], float]
) -> None:
    new = wrongly_called(9) & lost(7)

    result = compare(Gate(metric="m", margin=0.5), TRUTH, new, OLD)

    assert result.value == pytest.approx(theirs(TRUTH, new) - theirs(TRUTH, OLD))
    assert result.numbers["candidate"] == pytest.approx(theirs(TRUTH, new))
    assert result.numbers["baseline"] == pytest.approx(theirs(TRUTH, OLD))


@pytest.mark.parametrize("compare", COMPARE)
def test_fewer_cases_of_the_label_than_asked_get_no_verdict(
    compare: Callable[..., GateResult],
) -> None:
    result = compare(Gate(metric="m", min_samples=500), TRUTH, lost(60), OLD)

    assert result.outcome is Outcome.INCONCLUSIVE
    assert "at least 500" in result.reason


def test_equal_classifiers_that_differ_by_chance_rarely_fail() -> None:
    draw = np.random.default_rng(5)
    fails = 0
    for _ in range(25):
        truth = draw.random(200) < 0.5
        new, old = (
            np.where(truth, draw.random(200) < 0.8, draw.random(200) < 0.15).astype(bool)
            for _ in range(2)
        )
        fails += f1s(Gate(metric="m"), truth, new, old).outcome is Outcome.FAIL

    assert fails <= 5  # 6 or more of 25 have a probability of 0.1 % at a level of 5 %


def test_calls_of_other_cases_are_refused() -> None:
    with pytest.raises(InvalidInput, match="`400` labels, `399` calls"):
        compare_f1s(Gate(metric="m"), [True] * 400, [True] * 399, [True] * 400, seed=1)


def calibrated(shift: float) -> tuple[list[float], list[bool]]:
    draw = np.random.default_rng(9)
    said = draw.beta(4, 2, 600)
    right = (draw.random(600) < said).tolist()
    return np.clip(said + shift, 0, 1).tolist(), right


def test_confidences_that_grew_too_large_fail_against_the_baseline() -> None:
    gate = Gate(metric="ece", direction=Direction.LOWER, margin=0.03)

    worse = compare_calibration(gate, calibrated(0.15), calibrated(0.0), seed=3)
    same = compare_calibration(gate, calibrated(0.0), calibrated(0.0), seed=3)
    better = compare_calibration(gate, calibrated(0.0), calibrated(0.15), seed=3)

    assert [r.outcome for r in (worse, same, better)] == [Outcome.FAIL, Outcome.PASS, Outcome.PASS]
    assert worse.numbers["candidate"] > worse.numbers["baseline"]


def test_a_calibration_of_no_case_is_too_few_and_of_other_cases_refused() -> None:
    gate = Gate(metric="ece", direction=Direction.LOWER)

    assert compare_calibration(gate, ([], []), ([], []), seed=1).outcome is Outcome.INCONCLUSIVE
    with pytest.raises(InvalidInput, match="of the baseline"):
        compare_calibration(gate, ([0.5], [True]), ([0.5, 0.5], [True, True]), seed=1)
