import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.classification import confusion
from lockgate.statistics.fidelity import (
    compare_aucs,
    require_auc,
    require_f1,
    require_precision,
    require_recall,
)
from lockgate.statistics.gate import Gate

GATE = Gate(metric="secrets found", margin=0.02)
TRUTH = ["secret"] * 200 + ["none"] * 800
CALLED = ["secret"] * 190 + ["none"] * 10 + ["none"] * 780 + ["secret"] * 20
DRAW = np.random.default_rng(4)
POSITIVE = (DRAW.random(400) < 0.4).tolist()
SCORES = DRAW.normal(0, 1, 400) + np.array(POSITIVE) * 2


def test_recall_and_precision_are_judged_by_their_own_cases() -> None:
    table = confusion(TRUTH, CALLED)

    recall = require_recall(GATE, table, "secret", limit=0.93)
    precision = require_precision(GATE, table, "secret", limit=0.95)

    assert (recall.outcome, recall.samples, recall.value) == (Outcome.PASS, 200, 0.95)
    assert (precision.outcome, precision.samples) == (Outcome.FAIL, 210)
    ends = stats.binomtest(190, 210).proportion_ci(0.9, method="exact")
    assert precision.interval is not None
    assert precision.interval.upper == pytest.approx(ends.high)


def test_f1_is_sklearns_and_its_bounds_are_those_of_the_touched_cases() -> None:
    result = require_f1(GATE, confusion(TRUTH, CALLED), "secret", limit=0.85)

    assert result.value == pytest.approx(metrics.f1_score(TRUTH, CALLED, pos_label="secret"))
    ends = stats.binomtest(190, 220).proportion_ci(0.9, method="exact")
    assert result.interval is not None
    assert result.interval.lower == pytest.approx(2 * ends.low / (1 + ends.low))
    assert result.outcome is Outcome.PASS


def test_a_perfect_detector_passes_when_there_were_cases_enough() -> None:
    few, many = confusion(TRUTH[190:], TRUTH[190:]), confusion(TRUTH, TRUTH)
    for require in (require_recall, require_precision, require_f1):
        assert require(GATE, few, "secret", limit=0.9).outcome is Outcome.INCONCLUSIVE
        assert require(GATE, many, "secret", limit=0.9).outcome is Outcome.PASS


def test_a_label_that_was_never_called_has_no_verdict_on_precision() -> None:
    table = confusion(["a"] * 50, ["b"] * 50)

    assert require_precision(GATE, table, "a", limit=0.5).outcome is Outcome.INCONCLUSIVE
    assert require_recall(GATE, table, "b", limit=0.5).outcome is Outcome.INCONCLUSIVE
    assert require_f1(GATE, table, "a", limit=0.5).outcome is Outcome.FAIL
    with pytest.raises(InvalidInput, match="no case is `c`"):
        require_f1(GATE, table, "c", limit=0.5)


def test_the_area_of_a_detector_is_held_to_a_limit() -> None:
    assert require_auc(GATE, POSITIVE, SCORES, limit=0.85).outcome is Outcome.PASS
    assert require_auc(GATE, POSITIVE, SCORES, limit=0.99).outcome is Outcome.FAIL


def test_areas_of_two_detectors_are_compared_case_by_case() -> None:
    draw = np.random.default_rng(5)
    noisier = SCORES + draw.normal(0, 2, 400)

    wide = Gate(metric="area", margin=0.05)
    assert compare_aucs(wide, POSITIVE, SCORES, SCORES).outcome is Outcome.PASS
    assert compare_aucs(GATE, POSITIVE, noisier, SCORES).outcome is Outcome.FAIL
    alike = compare_aucs(GATE, POSITIVE, SCORES + draw.normal(0, 0.01, 400), SCORES)
    alone = require_auc(GATE, POSITIVE, SCORES, limit=0.9)
    assert alike.interval is not None
    assert alone.interval is not None
    assert alike.interval.upper - alike.interval.lower < alone.interval.upper - 0.9


def test_too_few_of_one_class_are_inconclusive() -> None:
    truth = [True] * 400 + [False] * 29

    result = require_auc(GATE, truth, truth, limit=0.5)

    assert (result.outcome, result.more_samples) == (Outcome.INCONCLUSIVE, 1)
    assert require_auc(GATE, [], [], limit=0.5).outcome is Outcome.INCONCLUSIVE
    assert compare_aucs(GATE, [True] * 99, [0.1] * 99, [0.1] * 99).more_samples == 30


def test_scores_that_do_not_fit_the_labels_are_refused() -> None:
    with pytest.raises(InvalidInput, match="`400` labels, and `399` scores"):
        require_auc(GATE, POSITIVE, SCORES[1:], limit=0.5)
    with pytest.raises(InvalidInput, match="not finite"):
        require_auc(GATE, POSITIVE, [float("nan")] * 400, limit=0.5)
