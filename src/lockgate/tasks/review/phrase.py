"""Asks the text model for a sentence on the findings, and takes it only if it holds."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from lockgate.domain.digest import JsonObject
from lockgate.domain.finding import Finding
from lockgate.domain.inference import Completion, Generate, Message
from lockgate.domain.prompt import Prompt, Variable
from lockgate.errors import OverBudget, Unavailable
from lockgate.ports import Context
from lockgate.tasks.review import grounding

MAX_TOKENS = 80
_SHOWN = 4
_SENTENCES = 2
_SENTENCE_END = re.compile(r"(?<=\.) ")
_SCHEMA: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["summary"],
    "properties": {"summary": {"type": "string", "minLength": 20, "maxLength": 260}},
}


PROMPT: Final = Prompt(
    name="summary",
    messages=(
        Message(
            role="system",
            content="You are a code reviewer. Say in one sentence what the findings are. "
            "Use only words from the list. Do not add facts, names or numbers.",
        ),
        Message(role="user", content="Findings:\n{{ findings }}"),
    ),
    variables=(Variable(name="findings", max_chars=_SHOWN * 160),),
    schema=_SCHEMA,
    max_tokens=MAX_TOKENS,
)


async def phrase(findings: Sequence[Finding], context: Context) -> tuple[str | None, str | None]:
    """Return the model's sentence, and why the model did not answer; each may be None.

    A text that fails the grounding check is None with no reason: that is no degradation, it is
    what the check is for.
    """
    if not findings:
        return None, None
    try:
        reply = await context.models.generate(_request(findings))
    except (Unavailable, OverBudget) as error:
        return None, f"the summary was not phrased by a model: {error.advice}"
    text = _text(reply)
    if text is None or grounding.fault(text, evidence(findings)):
        return None, None
    return text, None


def evidence(findings: Sequence[Finding]) -> list[str]:
    """Return what a generated sentence may rest on."""
    return [f"{f.severity.name.lower()} {f.message} {f.path} {f.path}:{f.line}" for f in findings]


def _request(findings: Sequence[Finding]) -> Generate:
    # Messages are ours; lines and names of the diff are another's, and stay out of the prompt.
    kinds = list(dict.fromkeys(finding.message for finding in findings))[:_SHOWN]
    return PROMPT.request({"findings": "\n".join(f"- {message}" for message in kinds)})


def _text(reply: Completion) -> str | None:
    if reply.finish_reason != "stop":
        return None
    try:
        value = json.loads(reply.text)
    except (ValueError, RecursionError):
        return None
    text = value.get("summary") if isinstance(value, Mapping) else None
    if not isinstance(text, str):
        return None
    # A small model goes on, and round in circles: two sentences are what was asked for.
    sentences = dict.fromkeys(_SENTENCE_END.split(" ".join(text.split())))
    return " ".join(list(sentences)[:_SENTENCES])
