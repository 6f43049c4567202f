"""Finds the type of changes whose commits state none: by model, by this repository, by rules."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lockgate.domain.digest import JsonObject
from lockgate.domain.inference import Classify, Label, Row
from lockgate.errors import OverBudget, Unavailable
from lockgate.ports import Context
from lockgate.tasks.release_notes import features, own_history, path_rules
from lockgate.tasks.release_notes.commits import Change

RULES_FROM = 0.45
"""Confidence below which a rule's guess is no better than `Other`."""


_BATCH = 256
"""Rows of one request: a row has some hundred tokens, and a range may have 20,000."""


@dataclass(frozen=True, slots=True)
class Classified:
    """Changes with their types, and what was not as promised."""

    changes: tuple[Change, ...]
    by_model: bool = False
    degraded: tuple[str, ...] = ()


def open_changes(changes: Sequence[Change]) -> list[int]:
    """Return the positions of the changes that have no type."""
    return [at for at, change in enumerate(changes) if change.type is None]


def by_rules(changes: Sequence[Change], earlier: JsonObject) -> tuple[Change, ...]:
    """Give types by the rules and by this repository's own history; the unclear keep none."""
    return tuple(
        change if change.type is not None else _ruled(change, earlier) for change in changes
    )


def _ruled(change: Change, earlier: JsonObject) -> Change:
    guess = path_rules.classify(_subject(change), change.files)
    if guess.type is not None and guess.confidence >= RULES_FROM:
        return replace(change, type=guess.type, by="rules", confidence=guess.confidence)
    return _from_history(change, earlier)


def _from_history(change: Change, earlier: JsonObject) -> Change:
    found = own_history.judge(earlier, change.files) if earlier else None
    if found is None:
        return replace(change, by=None, confidence=0.0)
    return replace(change, type=found[0], by="history", confidence=round(found[1], 4))


def _subject(change: Change) -> str:
    return f"{change.scope}: {change.text}" if change.scope else change.text


async def by_model(changes: Sequence[Change], earlier: JsonObject, context: Context) -> Classified:
    """Give types by the classifier; what it abstains from, by rules and history; else none.

    A classifier that does not answer is replaced by the rules, and the result says so.
    """
    positions = open_changes(changes)
    if not positions:
        return Classified(tuple(changes))
    labels: list[Label] = []
    try:
        for first in range(0, len(positions), _BATCH):
            rows = tuple(_row(changes[at]) for at in positions[first : first + _BATCH])
            labels += (await context.models.classify(Classify(rows=rows))).labels
    except (Unavailable, OverBudget) as error:
        reason = f"the types were guessed by rules: {error.advice}"
        return Classified(by_rules(changes, earlier), degraded=(reason,))
    done = list(changes)
    for at, label in zip(positions, labels, strict=True):
        if label.label is None:
            done[at] = _ruled(changes[at], earlier)
        else:
            confidence = round(label.confidence, 4)
            done[at] = replace(changes[at], type=label.label, by="model", confidence=confidence)
    return Classified(tuple(done), by_model=True)


def _row(change: Change) -> Row:
    return features.row(_subject(change), change.files, body=change.body)
