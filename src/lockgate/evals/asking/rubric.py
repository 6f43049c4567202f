"""Judges of the whole answer: `llm-rubric`, `factuality`, `answer-relevance`, `classifier`."""

import math
from collections.abc import Mapping, Sequence

from lockgate.domain.digest import Json
from lockgate.evals.asking.judging import (
    a_reason,
    an_object,
    ask,
    by_score,
    decided,
    member,
    method,
    shown,
)
from lockgate.evals.asking.services import JudgeFailed, Services, vectors
from lockgate.evals.assertion import Assertion, Context, Graded, invalid
from lockgate.evals.javascript import stringify, text_of, text_output

_STEPS: Sequence[Json] = [0, 0.25, 0.5, 0.75, 1]
_QUESTIONS = 3
_QUESTION_LENGTH = 120
_FACTUALITY: Mapping[str, tuple[str, str, bool]] = {
    "A": ("subset", "is a subset of the reference and agrees with it", True),
    "B": ("superset", "is a superset of the reference and agrees with it", True),
    "C": ("agree", "has the same facts as the reference", True),
    "D": ("disagree", "contradicts the reference", False),
    "E": ("differButFactual", "differs from the reference in what does not matter", True),
}


async def llm_rubric(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Ask whether the answer meets what the value says; a threshold is asked of the score."""
    rubric = assertion.value
    if rubric is None or rubric == "":
        raise invalid(assertion, "must have what is asked of the answer as its value")
    wanted = rubric if isinstance(rubric, str) else stringify(rubric)
    answer = await ask(
        services,
        f"Answer:\n{shown(text_output(output))}\n\nRequirement:\n{shown(wanted)}\n\n"
        "Does the answer meet the requirement? Give pass, a score from 0 to 1, and a short reason.",
        an_object(**{"pass": {"type": "boolean"}}, score={"enum": _STEPS}, reason=a_reason()),
    )
    score = member(answer, "score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise JudgeFailed(f"the judge gave the score `{score!r:.40}`, not one from 0 to 1")
    passed = member(answer, "pass") is True
    if assertion.threshold is not None:
        passed = passed and score >= assertion.threshold
    reason = str(answer.get("reason") or "the judge gave no reason")
    graded = Graded(passed, float(score), reason, method(services, "rubric"))
    return decided(assertion, graded)


async def factuality(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Ask how the facts of the answer lie to those of the reference."""
    if not isinstance(assertion.value, str) or not assertion.value:
        raise invalid(assertion, "must have a reference text as its value")
    kinds = "\n".join(
        f"{letter}: the answer {says}" for letter, (_, says, _) in _FACTUALITY.items()
    )
    answer = await ask(
        services,
        f"Question:\n{shown(context.prompt)}\n\nReference:\n{shown(assertion.value)}\n\n"
        f"Answer:\n{shown(text_output(output))}\n\nCompare only facts, not style.\n{kinds}\n"
        "Give the letter and a short reason.",
        an_object(category={"enum": list(_FACTUALITY)}, reason=a_reason()),
    )
    found = _FACTUALITY.get(str(member(answer, "category")))
    if found is None:
        raise JudgeFailed(f"the judge gave the category `{answer['category']!r:.40}`")
    name, says, good = found
    weights = assertion.options.get("factuality")
    given = weights.get(name) if isinstance(weights, Mapping) else None
    score = float(good) if isinstance(given, bool) or not isinstance(given, int | float) else given
    graded = Graded(score > 0, score, f"the answer {says}", method(services, "factuality"))
    return decided(assertion, graded)


async def answer_relevance(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Ask which questions the answer answers, and compare them with the one that was asked."""
    asked = text_of(context.variables.get("query")) or context.prompt
    item: Json = {"type": "string", "minLength": 5, "maxLength": _QUESTION_LENGTH}
    questions: Json = {
        "type": "array",
        "items": item,
        "minItems": _QUESTIONS,
        "maxItems": _QUESTIONS,
    }
    answer = await ask(
        services,
        f"Text:\n{shown(text_output(output))}\n\n"
        f"Write {_QUESTIONS} different questions that this text answers.",
        an_object(questions=questions),
    )
    made = member(answer, "questions")
    if not isinstance(made, Sequence) or not made:
        raise JudgeFailed("the judge gave no questions")
    first, *others = await vectors(services, [asked, *(str(each) for each in made)])
    likeness = math.fsum(_cosine(first, other) for other in others) / len(others)
    score = min(1.0, max(0.0, likeness))
    return by_score(
        assertion,
        score,
        "likeness of the question and those that the answer answers",
        method(services, "answer relevance by questions"),
    )


async def classifier(
    assertion: Assertion, output: Json, context: Context, services: Services
) -> Graded:
    """Ask which label of `config.labels` fits, and compare with the value."""
    config = assertion.options.get("config")
    labels = config.get("labels") if isinstance(config, Mapping) else None
    if not isinstance(assertion.value, str) or not assertion.value:
        raise invalid(assertion, "must have a label as its value")
    if not isinstance(labels, list) or assertion.value not in labels:
        raise invalid(assertion, "must have `config: {labels: [...]}` with its value among them")
    answer = await ask(
        services,
        f"Text:\n{shown(text_output(output))}\n\nWhich label fits best: "
        f"{', '.join(str(label) for label in labels)}?",
        an_object(label={"enum": labels}),
    )
    label = member(answer, "label")
    passed = label == assertion.value
    graded = Graded(passed, float(passed), f"the label is `{label}`", method(services, "label"))
    return decided(assertion, graded)


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    length = math.hypot(*left) * math.hypot(*right)
    if not length:
        raise JudgeFailed("the embedding model gave a vector of length 0")
    return math.fsum(a * b for a, b in zip(left, right, strict=True)) / length
