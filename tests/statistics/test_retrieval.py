import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from lockgate.errors import InvalidInput
from lockgate.statistics.retrieval import mrr_at_k, ndcg_at_k, precision_at_k, recall_at_k

RANKED = ["a", "b", "c", "d", "e"]


def test_the_measures_of_a_known_ranking() -> None:
    relevant = {"b", "d", "z"}

    assert recall_at_k(RANKED, relevant, 3) == pytest.approx(1 / 3)
    assert recall_at_k(RANKED, relevant, 10) == pytest.approx(2 / 3)
    assert precision_at_k(RANKED, relevant, 4) == 0.5
    assert precision_at_k(RANKED, relevant, 10) == 0.2
    assert mrr_at_k(RANKED, relevant, 5) == 0.5
    assert mrr_at_k(RANKED, relevant, 1) == 0


@given(st.lists(st.integers(0, 4), min_size=2, max_size=9), st.integers(1, 12))
def test_ndcg_is_sklearns(grades: list[int], k: int) -> None:
    items = [f"d{i}" for i in range(len(grades))]
    if not any(grades):
        grades[0] = 1

    seen = ndcg_at_k(items, dict(zip(items, map(float, grades), strict=True)), k)

    places = -np.arange(len(items), dtype=float)
    assert seen == pytest.approx(ndcg_score([grades], [places], k=k))


def test_what_was_not_found_counts_in_the_best_ranking() -> None:
    grades = {"x": 1.0, "y": 1.0}

    assert ndcg_at_k(["x"], grades, 2) == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert ndcg_at_k([], grades, 2) == 0


def test_a_perfect_ranking_scores_one_everywhere() -> None:
    relevant = {"a", "b"}
    assert recall_at_k(RANKED, relevant, 2) == precision_at_k(RANKED, relevant, 2) == 1
    assert mrr_at_k(RANKED, relevant, 2) == ndcg_at_k(RANKED, {"a": 2.0, "b": 1.0}, 2) == 1


@pytest.mark.parametrize("measure", [recall_at_k, precision_at_k, mrr_at_k])
def test_queries_that_have_no_answer_are_refused(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(InvalidInput, match="nothing is relevant"):
        measure(RANKED, set(), 3)
    with pytest.raises(InvalidInput, match="`0`"):
        measure(RANKED, {"a"}, 0)
    with pytest.raises(InvalidInput, match="`a` is in the ranking twice"):
        measure(["a", "b", "a"], {"a"}, 3)


@pytest.mark.parametrize("grades", [{}, {"a": 0.0}, {"a": -1.0, "b": 1.0}, {"a": math.nan}])
def test_grades_that_cannot_rank_are_refused(grades: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        ndcg_at_k(RANKED, grades, 3)
