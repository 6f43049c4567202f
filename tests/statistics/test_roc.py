import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from lockgate.errors import InvalidInput
from lockgate.statistics.roc import auc, placements

DRAW = np.random.default_rng(1)
TRUTH = (DRAW.random(200) < 0.3).tolist()
SCORES = DRAW.normal(0, 0.3, 200) + np.array(TRUTH) * 0.2


@pytest.mark.parametrize("decimals", [1, 6])
def test_areas_are_sklearns_with_ties_and_without(decimals: int) -> None:
    scores = SCORES.round(decimals)

    assert auc(TRUTH, scores) == pytest.approx(metrics.roc_auc_score(TRUTH, scores))


@pytest.mark.parametrize("decimals", [1, 6])
def test_each_cases_part_is_its_share_of_rightly_ordered_pairs(decimals: int) -> None:
    scores, positive = SCORES.round(decimals), np.array(TRUTH)
    over = scores[positive][:, None] - scores[~positive][None, :]
    right = (over > 0) + (over == 0) / 2

    seen = placements(TRUTH, scores)

    assert seen.of_positives == pytest.approx(right.mean(axis=1))
    assert seen.of_negatives == pytest.approx(right.mean(axis=0))


def test_the_standard_error_is_near_that_of_scipys_bootstrap() -> None:
    positive = np.array(TRUTH)
    theirs = stats.bootstrap(
        (SCORES[positive], SCORES[~positive]),
        lambda up, down: float(np.mean(up[:, None] > down[None, :])),
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=5,
    )

    assert placements(TRUTH, SCORES).error == pytest.approx(theirs.standard_error, rel=0.1)


def test_intervals_cover_the_area_of_the_law() -> None:
    draw = np.random.default_rng(2)
    truth, area, trials = [True] * 60 + [False] * 90, stats.norm.cdf(1 / np.sqrt(2)), 400
    missed = 0
    for _ in range(trials):
        ends = placements(truth, draw.normal(0, 1, 150) + np.array(truth)).interval(0.9)
        missed += not ends.lower <= area <= ends.upper

    assert missed <= stats.binom.ppf(0.999, trials, 0.1)


def test_a_perfect_order_is_as_sure_as_its_smaller_class_is_large() -> None:
    ends = placements([True] * 50 + [False] * 500, [1.0] * 50 + [0.0] * 500).interval(0.9)

    assert ends.upper == 1
    assert ends.lower == pytest.approx(0.05 ** (1 / 50))


def test_constant_scores_have_an_area_of_one_half() -> None:
    assert auc([True, False, False], [0.3] * 3) == 0.5


def test_scores_without_a_curve_are_refused() -> None:
    for truth in ([True, True], [False, False]):
        with pytest.raises(InvalidInput, match="no ROC curve"):
            auc(truth, [0.1, 0.2])
    with pytest.raises(InvalidInput, match="not finite"):
        auc([True, False], [float("nan"), 0.1])
    with pytest.raises(InvalidInput, match="`1` labels"):
        auc([True], [0.1, 0.2])
