"""Lets the text model write the summary's second half, and takes it only if it holds."""

import json
from collections.abc import Mapping, Sequence

from lockgate.domain.inference import Completion
from lockgate.errors import LockgateError, OverBudget, Unavailable
from lockgate.ports import Context, Document
from lockgate.tasks.release_notes import checks, commits, notes, summary
from lockgate.tasks.release_notes.commits import Change, Pull

_FROM = 2
_CONTEXT = 2


async def summarise(plan: notes.Plan, context: Context) -> tuple[notes.Summary, str | None]:
    """Return the summary, and why it is less than promised (None if it is not).

    A text that fails a check is replaced by the deterministic one. That is no degradation: it is
    what the checks are for.
    """
    plain = notes.Summary(text=notes.written_summary(plan, plan.highlights))
    if len(plan.highlights) < _FROM:
        return plain, None
    pulls = _related(plan, context)
    request = summary.request(plan.highlights, [p.title or p.body for p in pulls])
    try:
        reply = await context.models.generate(request)
    except (Unavailable, OverBudget) as error:
        return plain, f"the summary was not phrased by a model: {_why(error)}"
    evidence = [c.text for c in plan.highlights] + [notes.pull_texts(p) for p in pulls]
    text, fault = _judged(reply, evidence)
    counts = notes.written_summary(plan, ())
    if fault is None and len(counts) + 1 + len(text) > summary.MAX_CHARACTERS:
        fault = "it is too long"
    if fault is not None:
        return notes.Summary(text=plain.text, replaced=fault), None
    names = [plan.id_of(change) for change in plan.highlights]
    return (
        notes.Summary(
            text=f"{counts} {text}",
            generated=text,
            evidence=(*names, *(f"#{pull.number}" for pull in pulls)),
        ),
        None,
    )


def _why(error: LockgateError) -> str:
    return error.message


def _judged(reply: Completion, evidence: Sequence[str]) -> tuple[str, str | None]:
    if reply.finish_reason != "stop":
        return "", "it was cut off"
    try:
        value = json.loads(reply.text)
    except (ValueError, RecursionError):
        return "", "it is not JSON"
    text = value.get("summary") if isinstance(value, Mapping) else None
    if not isinstance(text, str) or not text.strip():
        return "", "it is not the object that was asked for"
    text = " ".join(text.split())
    return text, checks.fault(text, evidence)


def _related(plan: notes.Plan, context: Context) -> list[Pull]:
    """Find the pull requests that say more about the highlights."""
    pulls = {str(pull.number): pull for pull in commits.pulls_of(plan.given)}
    own = [str(n) for change in plan.highlights for n in change.pulls if str(n) in pulls]
    documents = [
        Document(id=name, text=notes.pull_texts(pull))
        for name, pull in pulls.items()
        if notes.pull_texts(pull)
    ]
    if documents:
        for change in plan.highlights:
            own += context.retriever.search(documents, _query(change), limit=1)
    return [pulls[name] for name in list(dict.fromkeys(own))[:_CONTEXT]]


def _query(change: Change) -> str:
    return f"{change.scope or ''} {change.text}".strip()
