import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput
from lockgate.evals.assertion import Response
from lockgate.evals.assertions.edit_distance import edit_distance

from .bench import ask


def by_rows(left: str, right: str) -> int:
    """Wagner and Fischer's table: the definition."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@given(st.text("abc", max_size=80), st.text("abc", max_size=80))
def test_the_edit_distance_is_that_of_the_table(left: str, right: str) -> None:
    assert edit_distance(left, right) == by_rows(left, right)


def test_characters_beyond_16_bits_count_twice_as_in_javascript() -> None:
    assert edit_distance("\U0001f600", "") == 2
    assert edit_distance("a\U0001f600", "b\U0001f601") == 2


@pytest.mark.parametrize(("threshold", "passed"), [(None, True), (5, True), (4, False), (0, False)])
def test_levenshtein_takes_five_edits_without_a_threshold(
    threshold: float | None, *, passed: bool
) -> None:
    assert ask("levenshtein", "12345", "", threshold=threshold).passed is passed


@pytest.mark.parametrize(
    ("output", "value", "passed"),
    [
        ("a b  c", 3, True),
        ("a b c", "3", True),
        ("", 0, True),
        ("a\ufeffb", 2, True),
        ("a\x85b", 1, True),
        ("a b", {"min": 2, "max": 2}, True),
        ("a b", {"min": 3}, False),
        ("a b", {"max": 1}, False),
    ],
)
def test_words_are_counted_between_spaces(output: str, value: Json, *, passed: bool) -> None:
    assert ask("word-count", output, value).passed is passed
    assert ask("not-word-count", output, value).passed is not passed


@pytest.mark.parametrize("value", [None, "x", {}, {"min": 3, "max": 1}, {"min": "a"}, [1]])
def test_a_count_that_is_none_is_an_error(value: Json) -> None:
    with pytest.raises(InvalidInput):
        ask("word-count", "a", value)


def test_time_and_cost_pass_at_the_threshold_itself() -> None:
    response = Response(output="x", latency_ms=100.0, cost=0.5)

    assert ask("latency", "x", threshold=100, response=response).passed
    assert not ask("latency", "x", threshold=99, response=response).passed
    assert ask("cost", "x", threshold=0.5, response=response).passed
    assert not ask("not-cost", "x", threshold=0.5, response=response).passed


@pytest.mark.parametrize("type_", ["latency", "cost", "perplexity", "perplexity-score"])
def test_what_a_provider_does_not_say_is_an_error(type_: str) -> None:
    with pytest.raises(InvalidInput):
        ask(type_, "x", threshold=1)


def test_perplexity_is_that_of_the_mean_log_probability() -> None:
    response = Response(output="x", logprobs=(math.log(0.5), math.log(0.5)))

    assert ask("perplexity", "x", threshold=2.0000001, response=response).passed
    assert not ask("perplexity", "x", threshold=1.9, response=response).passed
    assert ask("perplexity", "x", response=response).passed
    assert ask("perplexity-score", "x", response=response).score == pytest.approx(1 / 3)
    assert ask("not-perplexity-score", "x", threshold=0.5, response=response).passed


def test_a_probability_that_is_no_number_is_an_error() -> None:
    response = Response(output="x", logprobs=(float("nan"),))

    for type_ in ("perplexity", "not-perplexity", "perplexity-score"):
        with pytest.raises(InvalidInput, match="NaN"):
            ask(type_, "x", threshold=1, response=response)


def test_finish_reasons_are_compared_without_case() -> None:
    assert ask("finish-reason", "x", "STOP", response=Response(finish_reason="stop")).passed
    assert not ask("finish-reason", "x", "stop").passed
    assert ask("not-finish-reason", "x", "stop").passed
