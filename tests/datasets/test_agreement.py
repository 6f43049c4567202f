import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from lockgate.datasets.agreement import kappa
from lockgate.errors import InvalidInput


@pytest.mark.parametrize("seed", range(8))
def test_kappa_is_that_of_scikit_learn_and_its_error_that_of_statsmodels(seed: int) -> None:
    draw = np.random.default_rng(seed)
    names = np.array(["accept", "reject", "correct"][: 2 + seed % 2])
    first = draw.choice(names, 80)
    second = np.where(draw.random(80) < 0.6, first, draw.choice(names, 80))
    found = kappa([str(x) for x in first], [str(x) for x in second])
    table = np.array([[np.sum((first == a) & (second == b)) for b in names] for a in names])
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second))
    theirs = cohens_kappa(table)
    assert found.error == pytest.approx(theirs.std_kappa)
    assert found.interval == pytest.approx((theirs.kappa_low, theirs.kappa_upp))


def test_agreement_beyond_doubt_and_none_at_all() -> None:
    always = kappa(["a", "b", "a", "b"], ["a", "b", "a", "b"])
    assert (always.kappa, always.interval) == (1.0, (1.0, 1.0))
    assert kappa(["a", "b"], ["b", "a"]).kappa == -1.0


def test_one_label_for_all_says_nothing_about_chance() -> None:
    found = kappa(["a"] * 9, ["a"] * 9)
    assert (found.kappa, found.interval, found.observed) == (None, None, 1.0)


@pytest.mark.parametrize(("first", "second"), [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_items_that_do_not_match_are_refused(first: list[str], second: list[str]) -> None:
    with pytest.raises(InvalidInput, match="none in common"):
        kappa(first, second)
