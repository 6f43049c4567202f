"""`matches-baseline` and `calibrated`: an answer beside an earlier one, or its confidence."""

import math
from collections.abc import Mapping

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, number
from lockgate.evals.assertions.overlap import rouge_share
from lockgate.evals.javascript import parse, same, text_of, text_output
from lockgate.evals.transform import transform_problem, transformed

_SURE = 0.9


def matches_baseline(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Compare with the answer of the baseline: the same JSON or text, or alike by words.

    With a threshold, the share of common words (ROUGE-1 F1) must reach it.
    """
    if not context.baseline:
        raise invalid(assertion, "needs the case in a baseline: --baseline FILE")
    before = context.baseline[0]
    if assertion.threshold is None:
        equal = _same(before, output)
        score = float(equal)
    else:
        score = rouge_share(text_output(before), text_output(output))
        equal = score >= assertion.threshold
    passed = equal is not assertion.inverse
    what = "is the baseline's" if equal else "is another than the baseline's"
    return Graded(passed, 1 - score if assertion.inverse else score, f"the answer {what}")


def calibrated(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Fail an answer that is wrong and sure of itself; the score is 1 less the Brier score.

    The value is the right answer; `config` says where answer and confidence are in the output.
    """
    config = assertion.options.get("config")
    places = config if isinstance(config, Mapping) else {}
    said = _at(assertion, places, "confidence", output)
    confidence = context.response.confidence if said is None else said
    if isinstance(confidence, bool) or not isinstance(confidence, int | float):
        raise invalid(assertion, "needs a confidence: the answer's own, or `config: {confidence}`")
    if not 0 <= confidence <= 1 or math.isnan(confidence):
        raise invalid(assertion, f"got the confidence `{confidence}`, not from 0 to 1")
    if not assertion.has_value:
        raise invalid(assertion, "must have the right answer as its value")
    answer = _at(assertion, places, "answer", output) if "answer" in places else output
    right = _same(answer, assertion.value)
    score = 1 - (confidence - right) ** 2
    good = right or confidence < number(assertion, _SURE)
    reason = f"{'right' if right else 'wrong'} with the confidence {confidence:.2f}"
    return Graded(good is not assertion.inverse, score, reason, "Brier score")


def _at(assertion: Assertion, places: Mapping[str, Json], name: str, output: Json) -> Json:
    code = places.get(name)
    if not isinstance(code, str):
        return None
    if problem := transform_problem(code):
        raise invalid(assertion, f"has `config.{name}`: {problem}")
    try:
        return transformed(code, output)
    except InvalidInput as error:
        raise invalid(assertion, f"has `config.{name}`: {error.message}") from None


def _same(left: Json, right: Json) -> bool:
    if same(left, right) or text_of(left) == text_of(right) != "[object Object]":
        return True
    return same(_read(left), _read(right))


def _read(value: Json) -> Json:
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            return parse(value)
        except ValueError:
            return value
    return value
