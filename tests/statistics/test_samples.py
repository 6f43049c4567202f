from typing import Any

import numpy as np
import pytest

from lockgate.errors import InvalidInput
from lockgate.statistics.samples import matrix, numbers, paired_cases


def test_cases_are_paired_by_their_ids_and_not_by_their_order() -> None:
    candidate, baseline = paired_cases({"b": 1.0, "a": 0.0}, {"a": 0.5, "b": 0.25})

    assert (candidate.tolist(), baseline.tolist()) == ([0, 1], [0.5, 0.25])


def test_a_baseline_of_another_dataset_is_refused_with_what_differs() -> None:
    with pytest.raises(InvalidInput, match=r"2 cases, the baseline 2, and 2 are .*: `b`, `c`"):
        paired_cases({"a": 1, "b": 1}, {"a": 1, "c": 1})


def test_the_first_value_that_is_not_finite_is_named_with_its_place() -> None:
    with pytest.raises(InvalidInput, match=r"`scores` has 2 values .* `nan` at position 1"):
        numbers([1.0, float("nan"), float("-inf")], "scores")


@pytest.mark.parametrize("values", [["x"], [[1.0]], [None], [1.0, [2.0]]])
def test_what_is_no_row_of_numbers_is_refused(values: list[float]) -> None:
    with pytest.raises(InvalidInput, match="`scores`"):
        numbers(values, "scores")


def test_a_row_may_be_empty_only_where_that_is_said() -> None:
    assert numbers([], "scores", least=0).size == 0
    with pytest.raises(InvalidInput, match="0 values, at least 1"):
        numbers([], "scores")


def test_tables_need_rows_of_one_length() -> None:
    assert matrix([[1, 2], [3, 4]], "rows").dtype == np.float64
    bad: list[Any] = [[[1.0, 2.0]], [[1.0], [2.0, 3.0]], [[], []], [["a"], ["b"]]]
    for rows in bad:
        with pytest.raises(InvalidInput, match="`rows`"):
            matrix(rows, "rows")
