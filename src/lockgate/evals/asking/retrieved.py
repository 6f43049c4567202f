"""Judges of an answer and the context that it was given.

The texts are split into sentences by rules, and the judge says yes or no of each: the score is a
share that anyone can count again, and never a number that the judge made up.
"""

from collections.abc import Sequence

from lockgate.domain.digest import Json
from lockgate.evals.asking.judging import by_share, method, shown, yes_or_no
from lockgate.evals.asking.services import Services
from lockgate.evals.assertion import Assertion, Context, Graded, invalid
from lockgate.evals.javascript import text_of, text_output
from lockgate.evals.sentences import sentences
from lockgate.evals.transform import transform_problem, transformed

MAX_SENTENCES = 48


async def context_recall(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Say how much of the value, the true answer, the context holds."""
    if not isinstance(assertion.value, str) or not assertion.value:
        raise invalid(assertion, "must have the true answer as its value")
    given = _context(assertion, output, context)
    head = f"Context:\n{shown(given)}\n\nCan each statement be found in the context?"
    hits = await yes_or_no(services, head, _sentences(assertion, assertion.value))
    what = "statements of the true answer are in the context"
    return by_share(assertion, hits, what, method(services, "context recall"))


async def context_relevance(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Say how much of the context is needed for the question."""
    given = _context(assertion, output, context)
    asked = text_of(context.variables.get("query")) or context.prompt
    head = f"Question:\n{shown(asked)}\n\nIs each statement needed to answer the question?"
    hits = await yes_or_no(services, head, _sentences(assertion, given))
    what = "statements of the context are needed"
    return by_share(assertion, hits, what, method(services, "context relevance"))


async def context_faithfulness(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Say how much of the answer follows from the context."""
    given = _context(assertion, output, context)
    head = f"Context:\n{shown(given)}\n\nDoes each statement follow from the context alone?"
    hits = await yes_or_no(services, head, _sentences(assertion, text_output(output)))
    what = "statements of the answer follow from the context"
    return by_share(assertion, hits, what, method(services, "context faithfulness"))


def _sentences(assertion: Assertion, text: str) -> Sequence[str]:
    found = sentences(text)
    if not found:
        raise invalid(assertion, "has no statement to ask about")
    if len(found) > MAX_SENTENCES:
        raise invalid(assertion, f"has {len(found)} statements, more than {MAX_SENTENCES}")
    return found


def _context(assertion: Assertion, output: Json, context: Context) -> str:
    code = assertion.options.get("contextTransform")
    if isinstance(code, str):
        if problem := transform_problem(code):
            raise invalid(assertion, f"has a `contextTransform`: {problem}")
        found = transformed(code, output)
    else:
        found = context.variables.get("context")
    text = "\n".join(map(text_of, found)) if isinstance(found, list) else text_of(found)
    if not text.strip():
        raise invalid(assertion, "needs a variable `context`, or a `contextTransform`")
    return text
