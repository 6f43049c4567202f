"""`retrieval`: whether the right documents were found, and in the right order.

The output is a list of ids, or of objects with an `id`; `transform` says where it is.
"""

from collections.abc import Mapping, Sequence

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput
from lockgate.evals.assertion import Assertion, Context, Graded, invalid
from lockgate.evals.javascript import parse, text_of

MEASURES = ("recall", "mrr", "ndcg")
_KNOWN = frozenset({"relevant", "must-include", "must-exclude"})
_MOST = 10_000
_EPSILON = 1e-12


def retrieval(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Check every limit of the value, such as `recall@5: 0.8`; the score is the least measure."""
    asked = assertion.value
    if assertion.inverse:
        raise invalid(assertion, "has no opposite")
    if not isinstance(asked, Mapping):
        raise invalid(assertion, "must have an object with `relevant` and limits as its value")
    ranked = _ids(assertion, output)
    problems: list[str] = []
    scores: list[float] = []
    grades = _grades(assertion, asked.get("relevant"))
    for name, limit in asked.items():
        if name in _KNOWN:
            continue
        measure, _, k = name.partition("@")
        if measure not in MEASURES or not k.isdecimal() or not 1 <= int(k) <= _MOST:
            raise invalid(assertion, f"has `{name}`, not one of recall@k, mrr@k, ndcg@k")
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit <= 1:
            raise invalid(assertion, f"has the limit `{limit!r:.40}` of `{name}`, not from 0 to 1")
        score = _measured(assertion, context, (measure, int(k)), (ranked, grades))
        scores.append(score)
        if score < limit - _EPSILON:
            problems.append(f"{name} is {score:.3f}, below {limit:g}")
    problems += [f"`{i[:80]}` is missing" for i in _texts(asked, "must-include") if i not in ranked]
    problems += [f"`{i[:80]}` is there" for i in _texts(asked, "must-exclude") if i in ranked]
    passed = not problems
    score = min(scores, default=float(passed))
    return Graded(passed, score if passed or scores else 0.0, "; ".join(problems) or "found")


def _measured(
    assertion: Assertion,
    context: Context,
    measure: tuple[str, int],
    found: tuple[Sequence[str], Mapping[str, float]],
) -> float:
    if context.detectors.ranking is None:
        raise invalid(assertion, "needs measures of rankings, and there are none here")
    if not found[1]:
        raise invalid(assertion, "has a limit, and nothing is `relevant`")
    try:
        return context.detectors.ranking(measure[0], found[0], found[1], measure[1])
    except InvalidInput as error:
        raise invalid(assertion, f"cannot be measured: {error.message}") from None


def _ids(assertion: Assertion, output: Json) -> list[str]:
    value = output
    if isinstance(value, str):
        try:
            value = parse(value)
        except ValueError:
            raise invalid(assertion, "needs a list of ids, and the output is a text") from None
    if not isinstance(value, list):
        raise invalid(assertion, "needs a list of ids: say where it is with `transform`")
    return [
        text_of(each["id"] if isinstance(each, Mapping) and "id" in each else each)
        for each in value
    ]


def _grades(assertion: Assertion, relevant: Json) -> Mapping[str, float]:
    if relevant is None:
        return {}
    if isinstance(relevant, Mapping):
        return {n: float(g) for n, g in relevant.items() if isinstance(g, int | float)}
    if isinstance(relevant, list):
        return dict.fromkeys(map(text_of, relevant), 1.0)
    raise invalid(assertion, "has `relevant` that is neither a list of ids nor ids with grades")


def _texts(asked: Mapping[str, Json], name: str) -> list[str]:
    found = asked.get(name)
    return [text_of(each) for each in found] if isinstance(found, list) else []
