"""Assertions on numbers: length, distance, time, cost, likelihood."""

import math
from collections.abc import Mapping

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, number, verdict
from lockgate.evals.assertions.edit_distance import edit_distance
from lockgate.evals.javascript import number_text, split_spaces, text_output, trim

MAX_COMPARED = 100_000
"""Characters of a text whose edit distance is worth its quadratic time."""
_LEVENSHTEIN = 5


def word_count(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Count words between spaces: exactly `value`, or `value.min` to `value.max`."""
    words = sum(1 for word in split_spaces(trim(text_output(output))) if word)
    value = assertion.value
    if isinstance(value, Mapping):
        low, high = _bound(assertion, value, "min"), _bound(assertion, value, "max")
        if low is None and high is None:
            raise invalid(assertion, "must have `min` or `max` in its value")
        if low is not None and high is not None and low > high:
            raise invalid(assertion, f"has `min` {low} above `max` {high}")
        fits = (low is None or words >= low) and (high is None or words <= high)
        wanted = f"{'any' if low is None else number_text(low)} to {'any' if high is None else number_text(high)}"  # noqa: E501
    else:
        exact = _exact(assertion)
        fits = words == exact
        wanted = number_text(exact)
    return verdict(
        fits is not assertion.inverse,
        f"{words} words, expected {'not ' if assertion.inverse else ''}{wanted}",
    )


def levenshtein(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Bound the edit distance; 5 without a threshold."""
    if not isinstance(assertion.value, str):
        raise invalid(assertion, "must have a text as its value")
    text = text_output(output)
    if max(len(text), len(assertion.value)) > MAX_COMPARED:
        raise invalid(assertion, f"compares texts of at most {MAX_COMPARED} characters")
    limit = number(assertion, _LEVENSHTEIN)
    distance = edit_distance(text, assertion.value)
    return verdict(
        (distance <= limit) is not assertion.inverse,
        f"edit distance {distance} is {_side(assertion)} the threshold {number_text(limit)}",
    )


def latency(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Bound the milliseconds that the answer took."""
    limit = _threshold(assertion)
    taken = context.response.latency_ms
    if taken is None:
        raise invalid(assertion, "needs a measured answer, and this one was recorded")
    return verdict(
        (taken <= limit) is not assertion.inverse,
        f"{taken:.0f} ms is {_side(assertion)} the threshold {number_text(limit)} ms",
    )


def cost(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Bound what the answer cost."""
    limit = _threshold(assertion)
    paid = context.response.cost
    if paid is None:
        raise invalid(assertion, "needs a provider that says what an answer cost")
    return verdict(
        (paid <= limit) is not assertion.inverse,
        f"cost {number_text(paid)} is {_side(assertion)} the threshold {number_text(limit)}",
    )


def finish_reason(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Compare why the provider stopped, upper and lower case alike."""
    wanted = assertion.value
    if not isinstance(wanted, str):
        raise invalid(assertion, "must have a text as its value")
    reason = context.response.finish_reason
    if not reason:
        return verdict(assertion.inverse, "the provider gave no finish reason")
    return verdict(
        (wanted.lower() == reason.lower()) is not assertion.inverse,
        f'finish reason "{reason}", expected {"not " if assertion.inverse else ""}"{wanted}"',
    )


def perplexity(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Bound e to the power of the mean negative log probability of a token."""
    value = _perplexity(assertion, context)
    if assertion.threshold is None:
        return verdict(True, "")
    return verdict(
        (value <= assertion.threshold) is not assertion.inverse,
        f"perplexity {value:.2f} is {_side(assertion)} the threshold "
        f"{number_text(assertion.threshold)}",
    )


def perplexity_score(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for at least 1 / (1 + perplexity)."""
    score = 1 / (1 + _perplexity(assertion, context))
    limit = assertion.threshold
    passed = limit is None or (score >= limit) is not assertion.inverse
    shown = "" if limit is None else f", threshold {number_text(limit)}"
    return Graded(
        passed, 1 - score if assertion.inverse else score, f"perplexity score {score:.2f}{shown}"
    )


def _perplexity(assertion: Assertion, context: Context) -> float:
    found = context.response.logprobs
    if not found:
        raise invalid(assertion, "needs a provider that gives log probabilities")
    total = 0.0
    for value in found:  # in this order and unscaled: promptfoo's rounding
        total += value
    if math.isnan(total):  # it compares with nothing, so that `not-` would pass
        raise invalid(assertion, "got a log probability that is NaN")
    try:
        return math.exp(-(total / len(found)))
    except OverflowError:
        return math.inf


def _threshold(assertion: Assertion) -> float:
    if assertion.threshold is None:
        raise invalid(assertion, "must have a threshold")
    return assertion.threshold


def _bound(assertion: Assertion, value: Mapping[str, Json], name: str) -> float | None:
    found = value.get(name)
    if found is None and name not in value:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise invalid(assertion, f"must have a number as `{name}`")
    return found


def _exact(assertion: Assertion) -> float:
    value = assertion.value
    if isinstance(value, str):
        try:
            return float(trim(value) or "0")
        except ValueError:
            value = None
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(assertion, "must have a number, or `min` and `max`, as its value")
    return value


def _side(assertion: Assertion) -> str:
    return "not above" if assertion.inverse else "above"
