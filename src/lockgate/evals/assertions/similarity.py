"""`similar` by cosine, dot product or Euclidean distance of embeddings."""

import math
from collections.abc import Sequence

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, number
from lockgate.evals.javascript import number_text, text_output

_THRESHOLD = 0.75
_EPSILON = 2.0**-52


def compared_texts(assertion: Assertion, output: Json) -> list[str]:
    """Return the texts whose embeddings the assertion needs."""
    value = assertion.value
    wanted = value if isinstance(value, list) else [value]
    return [text_output(output), *(text for text in wanted if isinstance(text, str))]


def similar(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Compare with one text, or with several: any of them, and for `not-` none of them."""
    value = assertion.value
    wanted = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not wanted or not all(isinstance(text, str) for text in wanted):
        raise invalid(assertion, "must have a text or a list of texts as its value")
    ours = _vector(assertion, context, text_output(output))
    grades = [_one(assertion, _vector(assertion, context, str(text)), ours) for text in wanted]
    if len(grades) == 1:
        return grades[0]
    if assertion.inverse:
        failed = next((grade for grade in grades if not grade.passed), None)
        return failed or min(grades, key=lambda grade: grade.score)
    passed = next((grade for grade in grades if grade.passed), None)
    best = max(grade.score for grade in grades)
    return passed or Graded(False, best, "none of the values is similar enough")


def _one(assertion: Assertion, expected: Sequence[float], ours: Sequence[float]) -> Graded:
    if len(expected) != len(ours):
        raise invalid(assertion, f"got embeddings of {len(expected)} and {len(ours)} numbers")
    limit = number(assertion, _THRESHOLD)
    inverse = assertion.inverse
    if assertion.type == "similar:euclidean":
        distance = math.dist(expected, ours)
        near = distance <= limit + _EPSILON
        far = distance >= limit - _EPSILON
        score = 1 / (1 + distance)
        reason = f"distance {distance:.2f}, threshold {number_text(limit)}"
        return Graded(far if inverse else near, 1 - score if inverse else score, reason)
    likeness = math.sumprod(expected, ours) if hasattr(math, "sumprod") else _dot(expected, ours)
    if assertion.type != "similar:dot":
        length = math.hypot(*expected) * math.hypot(*ours)
        if not length:
            raise invalid(assertion, "got an embedding of length 0")
        likeness /= length
    if not math.isfinite(likeness):
        raise invalid(assertion, f"got a similarity of {likeness}")
    passed = likeness <= limit + _EPSILON if inverse else likeness >= limit - _EPSILON
    reason = f"similarity {likeness:.2f}, threshold {number_text(limit)}"
    return Graded(passed, 1 - likeness if inverse else likeness, reason)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(left, right, strict=True))


def _vector(assertion: Assertion, context: Context, text: str) -> Sequence[float]:
    found = context.vectors.get(text)
    if found is None:
        raise invalid(assertion, "needs an embedding model, and there is none")
    return found
