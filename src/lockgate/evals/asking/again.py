"""Types that ask the provider again: `deterministic`, `permission`; and `semantic-coverage`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lockgate.domain.digest import Json
from lockgate.errors import Denied
from lockgate.evals.asking.services import Services, vectors
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, number
from lockgate.evals.expand import Acting
from lockgate.evals.javascript import same, text_of, text_output
from lockgate.evals.sentences import sentences

MAX_TIMES = 20
MAX_POINTS = 64
_ALIKE = 0.6


async def deterministic(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Ask again, once or as often as the value says less one: all answers must be the same."""
    times = assertion.value if assertion.has_value else 2
    if isinstance(times, bool) or not isinstance(times, int) or not 2 <= times <= MAX_TIMES:  # noqa: PLR2004
        raise invalid(assertion, f"must have a number of answers from 2 to {MAX_TIMES}")
    answers = [(await services.respond(services.case)).output for _ in range(times - 1)]
    first = context.response.output
    equal = sum(same(first, each) for each in answers)
    passed = (equal == len(answers)) is not assertion.inverse
    reason = f"{equal + 1} of {times} answers are the same"
    return Graded(passed, (equal + 1) / times, reason, f"{times} answers compared")


async def permission(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Ask as somebody else: the call must be denied, or its answer hold nothing that is not theirs.

    The value has `principal`, `scopes` (the tasks that they may call), and `expect: denied` or
    `must-exclude`, a list of texts.
    """
    asked = assertion.value
    if not isinstance(asked, Mapping) or not isinstance(asked.get("principal"), str):
        raise invalid(assertion, "must have an object with `principal` as its value")
    hidden, scopes = asked.get("must-exclude", []), asked.get("scopes", [])
    if not isinstance(hidden, list) or not isinstance(scopes, list):
        raise invalid(assertion, "must have lists as `scopes` and `must-exclude`")
    expect = asked.get("expect", "allowed" if hidden else "denied")
    if expect not in {"allowed", "denied"}:
        raise invalid(assertion, f"expects `{expect!r:.40}`, neither `allowed` nor `denied`")
    acting = Acting(str(asked["principal"]), tuple(map(text_of, scopes)))
    try:
        response = await services.respond(replace(services.case, acting=acting))
    except Denied:
        good, reason = expect == "denied", f"`{acting.name}` was denied"
    else:
        text = text_output(response.output)
        seen = [each for each in map(text_of, hidden) if each and each in text]
        good = expect == "allowed" and not seen
        reason = f"`{acting.name}` got an answer" + (
            f" with {len(seen)} text(s) that are not theirs" if seen else ""
        )
    return Graded(good is not assertion.inverse, float(good), reason, "the call as a principal")


async def semantic_coverage(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Look for each point of the value in the answer, by the likeness of their embeddings.

    A point is covered by a sentence that is as near as `similarity`, 0.6 without one.
    """
    points = [assertion.value] if isinstance(assertion.value, str) else assertion.value
    if not isinstance(points, Sequence) or not 1 <= len(points) <= MAX_POINTS:
        raise invalid(assertion, f"must have a list of 1 to {MAX_POINTS} points as its value")
    least = assertion.options.get("similarity", _ALIKE)
    if isinstance(least, bool) or not isinstance(least, int | float) or not -1 <= least <= 1:
        raise invalid(assertion, f"has `similarity` {least!r:.40}, not from -1 to 1")
    said = sentences(text_output(output))
    if not said:
        raise invalid(assertion, "needs an answer with sentences")
    wanted = [text_of(point) for point in points]
    found = await vectors(services, [*wanted, *said])
    covers = found[len(wanted) :]
    missed = [
        point
        for point, vector in zip(wanted, found[: len(wanted)], strict=True)
        if max(_cosine(vector, each) for each in covers) < least
    ]
    share = 1 - len(missed) / len(wanted)
    passed = (share >= number(assertion, 1.0)) is not assertion.inverse
    reason = f"{len(wanted) - len(missed)} of {len(wanted)} points are covered"
    more = f"; not: {'; '.join(point[:80] for point in missed[:3])}" if missed else ""
    return Graded(passed, share, reason + more, "likeness of embeddings, by sentence")


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    length = math.hypot(*left) * math.hypot(*right)
    return math.fsum(a * b for a, b in zip(left, right, strict=True)) / length if length else 0.0
