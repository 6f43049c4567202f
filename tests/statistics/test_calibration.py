import json
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.calibration import brier, reliability, require_calibrated
from lockgate.statistics.gate import Direction, Gate

DRAW = np.random.default_rng(3)
SAID = DRAW.beta(4, 2, 800)
RIGHT = (DRAW.random(800) < SAID).tolist()
GATE = Gate(metric="ece", direction=Direction.LOWER, margin=0.05)


def test_the_reliability_table_is_sklearns() -> None:
    seen = reliability(SAID, RIGHT)

    accuracy, confidence = calibration_curve(RIGHT, SAID, n_bins=10, strategy="uniform")
    assert [b.accuracy for b in seen.bins] == pytest.approx(accuracy)
    assert [b.confidence for b in seen.bins] == pytest.approx(confidence)
    weights = np.array([b.cases for b in seen.bins]) / 800
    assert seen.ece == pytest.approx(float(weights @ np.abs(accuracy - confidence)))
    assert json.loads(json.dumps(seen.document))["cases"] == 800


def test_brier_scores_are_sklearns() -> None:
    assert brier(SAID, RIGHT) == pytest.approx(brier_score_loss(RIGHT, SAID))


@pytest.mark.parametrize("confidence", [0.0, 0.1, 0.7, 1.0])
def test_a_confidence_on_an_edge_is_in_the_bin_below(confidence: float) -> None:
    (only,) = reliability([confidence] * 4, [True] * 4).bins

    assert only.lower <= confidence <= only.upper
    assert only.upper == pytest.approx(max(confidence, 0.1))


@pytest.mark.parametrize("off", [0.0, 0.05, 0.15])
def test_intervals_rarely_miss_the_error_of_the_law(off: float) -> None:
    draw = np.random.default_rng(4)
    trials, missed = 400, [0, 0]
    for _ in range(trials):
        said = draw.uniform(0.3, 0.8, 400)
        ends = reliability(said, (draw.random(400) < said + off).tolist()).interval(0.9)
        missed[0] += ends.lower > off + 1e-9
        missed[1] += ends.upper < off

    assert max(missed) <= stats.binom.ppf(0.999, trials, 0.05)


def test_calibrated_confidences_pass_and_boastful_ones_fail() -> None:
    assert require_calibrated(GATE, SAID, RIGHT, limit=0.05).outcome is Outcome.PASS
    boast = np.minimum(SAID + 0.25, 1)
    assert require_calibrated(GATE, boast, RIGHT, limit=0.05).outcome is Outcome.FAIL
    few = require_calibrated(GATE, SAID[:60], RIGHT[:60], limit=0.05)
    assert few.outcome is Outcome.INCONCLUSIVE


def test_perfect_answers_at_full_confidence_are_no_pass_on_few_cases() -> None:
    sure = [1.0] * 30
    gate = Gate(metric="ece", direction=Direction.LOWER)

    assert require_calibrated(gate, sure, [True] * 30, limit=0.02).outcome is Outcome.INCONCLUSIVE
    assert require_calibrated(gate, [], [], limit=0.02).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1])
def test_confidences_that_are_none_are_refused(bad: float) -> None:
    for measure in (reliability, brier):
        with pytest.raises(InvalidInput):
            measure([0.5, bad], [True, False])
        with pytest.raises(InvalidInput):
            measure([0.5], [True, False])
    with pytest.raises(InvalidInput, match="direction"):
        require_calibrated(Gate(metric="ece"), SAID, RIGHT, limit=0.05)
    with pytest.raises(InvalidInput, match="bins"):
        reliability(SAID, RIGHT, bins=0)
