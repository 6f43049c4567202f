"""How judges are asked: one question, a bounded text, an answer that a schema holds.

The verdict comes before its reason in every schema, so an answer that is cut off at the end of the
reason has said what counts. No answer is ever searched for a verdict.
"""

from collections.abc import Mapping, Sequence

from lockgate.domain.digest import Json, JsonObject
from lockgate.evals.asking.services import Judge, JudgeFailed, Question, Services
from lockgate.evals.assertion import Assertion, Graded, number

REASON_LENGTH = 160
MAX_SHOWN = 2_400
"""Characters of one text in a question: a small model's context is about 8,000 in all."""
BATCH = 8
"""Statements in one question: more, and a small model loses count."""
_SYSTEM = "You are a strict grader. Answer only with the JSON object that is asked for."
_TOKENS = 220
_EPSILON = 1e-9


def shown(text: str) -> str:
    """Return a text as a judge sees it: the middle of a long one is left out, and said to be."""
    if len(text) <= MAX_SHOWN:
        return text
    half = MAX_SHOWN // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def an_object(**members: Json) -> JsonObject:
    """Return the schema of an object with just these members, in this order."""
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def a_reason() -> Json:
    """Return the schema of a short reason."""
    return {"type": "string", "maxLength": REASON_LENGTH}


async def ask(services: Services, text: str, schema: JsonObject) -> JsonObject:
    """Return the judge's answer.

    Raises:
        JudgeFailed: there is no judge, or it did not answer.

    """
    question = Question(system=_SYSTEM, text=text, schema=schema, max_tokens=_TOKENS)
    return await _judge(services).answer(question)


def method(services: Services, kind: str) -> str:
    """Return what gave a number, as results name it."""
    return f"{kind} by {_judge(services).name()} under a grammar"


async def yes_or_no(services: Services, head: str, statements: Sequence[str]) -> Sequence[bool]:
    """Ask the same of several statements, a few at once, and return an answer for each."""
    found: list[bool] = []
    for start in range(0, len(statements), BATCH):
        batch = statements[start : start + BATCH]
        listed = "\n".join(f"{at}. {shown(text)}" for at, text in enumerate(batch, 1))
        schema = an_object(
            answers={
                "type": "array",
                "items": {"type": "boolean"},
                "minItems": len(batch),
                "maxItems": len(batch),
            }
        )
        question = f"{head}\n\nStatements:\n{listed}\n\nGive one true or false a statement."
        answers = (await ask(services, question, schema)).get("answers")
        if not isinstance(answers, Sequence) or len(answers) != len(batch):
            raise JudgeFailed(f"the judge gave {answers!r:.80} for {len(batch)} statements")
        found += [answer is True for answer in answers]
    return found


def by_share(assertion: Assertion, hits: Sequence[bool], what: str, method_: str) -> Graded:
    """Grade by the share of statements that hold; promptfoo's threshold is 0 without one."""
    share = sum(hits) / len(hits) if hits else 0.0
    return by_score(assertion, share, f"{sum(hits)} of {len(hits)} {what}", method_)


def by_score(assertion: Assertion, score: float, seen: str, method_: str) -> Graded:
    """Grade a score from 0 to 1 against the threshold."""
    limit = number(assertion, 0.0)
    passed = score >= limit - _EPSILON
    reason = f"{seen}: score {score:.2f}, threshold {limit:.2f}"
    return decided(assertion, Graded(passed, score, reason, method_))


def decided(assertion: Assertion, graded: Graded) -> Graded:
    """Return a grade, turned over for `not-`."""
    if not assertion.inverse:
        return graded
    return graded._replace(passed=not graded.passed, score=1 - graded.score)


def member(answer: Mapping[str, Json], name: str) -> Json:
    """Return a member of an answer that the schema demands.

    Raises:
        JudgeFailed: the judge was not held to the schema.

    """
    if name not in answer:
        raise JudgeFailed(f"the judge's answer has no `{name}`")
    return answer[name]


def _judge(services: Services) -> Judge:
    if services.judge is None:
        raise JudgeFailed("there is no judge", hint="run `lockgate model pull smollm2`")
    return services.judge
