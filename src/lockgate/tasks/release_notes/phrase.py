"""Lets the text model rewrite the highlights, and takes each rewriting only if it holds."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.domain.inference import Completion
from lockgate.errors import OverBudget, Unavailable
from lockgate.ports import Context
from lockgate.tasks.release_notes import clauses, commits, notes, summary
from lockgate.tasks.release_notes.commits import Change
from lockgate.tasks.release_notes.notes import Part

_FROM = 2
"""Highlights from which a rewriting is worth its second."""


def by_rules(plan: notes.Plan) -> tuple[Part, ...]:
    """Return the highlights as clauses, made by rules."""
    return tuple(_ruled(plan, change) for change in plan.highlights)


async def by_model(plan: notes.Plan, context: Context) -> tuple[tuple[Part, ...], str | None]:
    """Return the highlights as clauses, and why that is less than promised (None if it is not).

    A clause that fails a check is replaced by the rules'. That is no degradation: it is what the
    checks are for, and the part says why.
    """
    ruled = by_rules(plan)
    if len(ruled) < _FROM:
        return ruled, None
    titles = [clauses.shortened(change.text) for change in plan.highlights]
    try:
        reply = await context.models.generate(summary.request(titles))
    except (Unavailable, OverBudget) as error:
        return ruled, f"the summary was not phrased by a model: {error.advice}"
    said, problem = _read(reply)
    titled = {p.number: p.title for p in commits.pulls_of(plan.given) if p.title}
    parts = [
        _judged(part, said.get(str(at)), problem, _context(change, titled))
        for at, (part, change) in enumerate(zip(ruled, plan.highlights, strict=True), start=1)
    ]
    return tuple(parts), None


def _ruled(plan: notes.Plan, change: Change) -> Part:
    title = clauses.shortened(change.text)
    clause = clauses.by_rules(title)
    return Part(entry=plan.id_of(change), title=title, clause=clause)


def _context(change: Change, titled: Mapping[int, str]) -> Sequence[str]:
    return [titled[number] for number in change.pulls if number in titled]


def _judged(part: Part, said: Any, problem: str | None, context: Sequence[str]) -> Part:
    if problem is None and not isinstance(said, str):
        problem = "it is missing"
    if problem is None:
        assert isinstance(said, str)
        clause = clauses.by_rules(" ".join(said.split()).rstrip(".")) or said.strip()
        problem = clauses.fault(clause, part.title, context)
        if problem is None:
            return part.rewritten(clause)
    return part.kept(problem or "")


def _read(reply: Completion) -> tuple[Mapping[str, Any], str | None]:
    if reply.finish_reason != "stop":
        return {}, "the reply was cut off"
    try:
        value = json.loads(reply.text)
    except (ValueError, RecursionError):
        return {}, "the reply is not JSON"
    return (value, None) if isinstance(value, dict) else ({}, "the reply is not an object")
