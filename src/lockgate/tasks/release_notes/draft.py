"""The two ways to the notes: with models, and by rules alone. They share every step but two."""

from collections.abc import Sequence

from lockgate.domain.call import Draft, EngineKind
from lockgate.domain.digest import JsonObject
from lockgate.errors import Unavailable
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
    sections,
)
from lockgate.tasks.release_notes.commits import Change

_PROGRESS_FROM = 50


def by_rules(given: JsonObject) -> Draft:
    """Write the notes without any model."""
    drawn = _draw(given)
    folded = duplicates.fold(drawn.changes)
    typed = classify.by_rules(folded, commits.member(given, "earlier"))
    plan = _plan(given, typed, drawn)
    said = notes.Summary(text=notes.written_summary(plan, plan.highlights))
    return _draft(plan, said, EngineKind.RULES, ())


async def with_models(given: JsonObject, context: Context) -> Draft:
    """Write the notes with models: for types, for near duplicates and for the summary.

    A model that does not answer costs what it was for, and the draft says so. If none has
    answered, the draft is the rules'.
    """
    drawn = _draw(given)
    folded = duplicates.fold(drawn.changes)
    vectors: classify.Vectors = {}
    degraded: list[str] = []
    shown = len(folded) > _PROGRESS_FROM
    try:
        await _embed(folded, context, vectors, shown=shown)
    except Unavailable as error:
        degraded.append(f"meanings were not compared: {error.message}")
    found = await classify.by_model(folded, commits.member(given, "earlier"), context, vectors)
    typed = meaning.fold(found.changes, vectors)
    plan = _plan(given, typed, drawn)
    said, reason = await phrase.summarise(plan, context)
    degraded += [*found.degraded, *([reason] if reason else [])]
    used = bool(vectors) or found.by_model or said.generated is not None or said.replaced
    engine = EngineKind.MODEL if used else EngineKind.RULES
    return _draft(plan, said, engine, tuple(degraded))


def _draw(given: JsonObject) -> changes.Drawn:
    return changes.draw(
        commits.commits_of(given),
        commits.pulls_of(given),
        include_bots=given.get("include_bots") is True,
    )


async def _embed(
    folded: Sequence[Change], context: Context, vectors: classify.Vectors, *, shown: bool
) -> None:
    """Embed what needs a type, and what may be a near duplicate of something else."""
    texts = [folded[at].text for at in classify.open_changes(folded)]
    texts += meaning.candidates(folded)
    texts = list(dict.fromkeys(texts))[: classify.MAX_EMBEDDED]
    if shown:
        context.progress.start("Reading commits", len(texts))
    try:
        await classify.embed(texts, context, vectors, tick=context.progress.advance)
    finally:
        if shown:
            context.progress.finish()


def _plan(given: JsonObject, typed: Sequence[Change], drawn: changes.Drawn) -> notes.Plan:
    grouped = sections.group(typed)
    return notes.plan(given, grouped, highlights.pick(grouped), drawn.omitted)


def _draft(
    plan: notes.Plan, said: notes.Summary, engine: EngineKind, degraded: tuple[str, ...]
) -> Draft:
    return Draft(
        output=notes.output(plan, said),
        evidence=notes.evidence(plan),
        confidence=notes.confidence(plan),
        engine=engine,
        degraded=degraded,
    )
