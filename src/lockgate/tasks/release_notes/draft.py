"""The two ways to the notes: with models, and by rules alone. They share every step but two."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lockgate.domain.call import Draft, EngineKind
from lockgate.domain.digest import JsonObject
from lockgate.domain.inference import Embed, Vector
from lockgate.errors import OverBudget, Unavailable
from lockgate.ports import Context
from lockgate.tasks.release_notes import (
    changes,
    classify,
    commits,
    duplicates,
    highlights,
    meaning,
    notes,
    phrase,
    pull_index,
    sections,
)
from lockgate.tasks.release_notes.commits import Change

_PROGRESS_FROM = 50
_BATCH = 32
_CLASSIFIED, _COMPARED, _WHOLE = 20, 60, 100


def by_rules(given: JsonObject, context: Context) -> Draft:
    """Write the notes without any model."""
    with _bar(given, context) as advance:
        drawn = _draw(given, context)
        folded = duplicates.fold(drawn.changes)
        typed = classify.by_rules(folded, commits.member(given, "earlier"))
        plan = _plan(given, typed, drawn)
        advance(_WHOLE)
    return _draft(plan, phrase.by_rules(plan), EngineKind.RULES, ())


async def with_models(given: JsonObject, context: Context) -> Draft:
    """Write the notes with models: for types, for near duplicates and for the summary.

    A model that does not answer costs what it was for, and the draft says so. If nothing in the
    notes comes from a model, the draft is the rules'.
    """
    with _bar(given, context) as advance:
        drawn = _draw(given, context)
        folded = duplicates.fold(drawn.changes)
        found = await classify.by_model(folded, commits.member(given, "earlier"), context)
        advance(_CLASSIFIED)
        typed, near = await _without_near_duplicates(found.changes, context, advance)
        plan = _plan(given, typed, drawn)
        parts, reason = await phrase.by_model(plan, context)
        advance(_WHOLE)
    degraded = (*found.degraded, *(r for r in (near, reason) if r is not None))
    used = found.by_model or len(typed) < len(folded) or any(part.by_model for part in parts)
    return _draft(plan, parts, EngineKind.MODEL if used else EngineKind.RULES, degraded)


@contextmanager
def _bar(given: JsonObject, context: Context) -> Iterator[Callable[[int], None]]:
    """Show a bar for a long range; the function given takes the percentage that is reached."""
    number = len(commits.rows(given, "commits"))
    if number <= _PROGRESS_FROM:
        yield lambda reached: None  # noqa: ARG005
        return
    at = 0

    def advance(reached: int) -> None:
        nonlocal at
        context.progress.advance(reached - at)
        at = reached

    context.progress.start(f"Reading {number} commits", _WHOLE)
    try:
        yield advance
    finally:
        context.progress.finish()


async def _without_near_duplicates(
    changes: Sequence[Change], context: Context, advance: Callable[[int], None]
) -> tuple[Sequence[Change], str | None]:
    """Fold near duplicates; only texts that share words with another one are embedded."""
    if len(changes) > meaning.MOST:
        return changes, f"near duplicates were not looked for: {len(changes)} changes are too many"
    texts = meaning.candidates(changes)
    vectors: dict[str, Vector] = {}
    try:
        for at in range(0, len(texts), _BATCH):
            batch = tuple(texts[at : at + _BATCH])
            made = await context.models.embed(Embed(texts=batch))
            vectors |= zip(batch, made.vectors, strict=True)
            done = (at + len(batch)) / len(texts)
            advance(_CLASSIFIED + round((_COMPARED - _CLASSIFIED) * done))
    except (Unavailable, OverBudget) as error:
        return changes, f"near duplicates were not looked for: {error.advice}"
    return meaning.fold(changes, vectors), None


def _draw(given: JsonObject, context: Context) -> changes.Drawn:
    pulls = commits.pulls_of(given)
    return changes.draw(
        commits.commits_of(given),
        pulls,
        find=pull_index.PullIndex(pulls, context.retriever).find,
        include_bots=given.get("include_bots") is True,
    )


def _plan(given: JsonObject, typed: Sequence[Change], drawn: changes.Drawn) -> notes.Plan:
    grouped = sections.group(typed)
    return notes.plan(given, grouped, highlights.pick(grouped), drawn.omitted)


def _draft(
    plan: notes.Plan, parts: Sequence[notes.Part], engine: EngineKind, degraded: tuple[str, ...]
) -> Draft:
    return Draft(
        output=notes.output(plan, parts),
        evidence=notes.evidence(plan),
        confidence=notes.confidence(plan),
        engine=engine,
        degraded=degraded,
    )
