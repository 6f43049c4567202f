"""`select-best`: which of a case's answers, by provider and prompt, fits the criterion best.

A small judge leans to the place where it reads an answer, so it is asked in both orders. The first
order counts; where the second one disagrees, the reason says so.
"""

from collections.abc import Sequence

from lockgate.domain.digest import Json
from lockgate.evals.asking.judging import an_object, ask, member, method, shown
from lockgate.evals.asking.services import JudgeFailed, Services
from lockgate.evals.assertion import Assertion, Context, Graded, invalid
from lockgate.evals.javascript import text_output

_LETTERS = "ABCDEFGHIJKLMNOP"
_ROOM = 4_800
"""Characters of all answers together."""


async def select_best(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Pass the one answer that the judge chooses; all others fail."""
    others = context.row
    if not isinstance(assertion.value, str) or not assertion.value:
        raise invalid(assertion, "must have a criterion as its value")
    if assertion.inverse:
        raise invalid(assertion, "has no opposite")
    if not 2 <= len(others) <= len(_LETTERS):  # noqa: PLR2004
        raise invalid(
            assertion, f"compares 2 to {len(_LETTERS)} answers, and here are {len(others)}"
        )
    if any(each is None for each in others):
        raise invalid(assertion, "compares answers, and another provider gave none")
    texts = [text_output(each) for each in others]
    chosen = await _chosen(services, assertion.value, texts)
    last = len(texts) - 1
    again = last - await _chosen(services, assertion.value, texts[::-1])
    agreed = "in both orders" if again == chosen else "in one of two orders"
    passed = context.place == chosen
    reason = f"the judge chose answer {chosen + 1} of {len(texts)}, {agreed}"
    return Graded(passed, float(passed), reason, method(services, "choice"))


async def _chosen(services: Services, criterion: str, texts: Sequence[str]) -> int:
    letters = list(_LETTERS[: len(texts)])
    room = _ROOM // len(texts)
    listed = "\n\n".join(
        f"{letter}:\n{text[:room]}" for letter, text in zip(letters, texts, strict=True)
    )
    answer = await ask(
        services,
        f"{listed}\n\nWhich answer fits this best: {shown(criterion)}\nGive its letter.",
        an_object(best={"enum": letters}),
    )
    letter = str(member(answer, "best"))
    if letter not in letters:
        raise JudgeFailed(f"the judge chose `{letter:.40}`, none of {', '.join(letters)}")
    return letters.index(letter)
