"""Folds changes that are the same into one, which then cites all their commits."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lockgate.tasks.release_notes import subjects
from lockgate.tasks.release_notes.commits import Change


def fold(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Fold changes of one pull request, and changes with the same subject. Newest first.

    The oldest of a group keeps its words; those of the others go to `also`.
    """
    kept: dict[int, Change] = {}
    by_key: dict[object, int] = {}
    for at in range(len(changes) - 1, -1, -1):
        change = changes[at]
        home = next((by_key[key] for key in _keys(change) if key in by_key), None)
        if home is not None and not _same(kept[home], change):
            home = None
        if home is None:
            home = at
            kept[at] = change
        else:
            kept[home] = join(kept[home], change)
        for key in _keys(change):
            by_key.setdefault(key, home)
    return tuple(kept[at] for at in sorted(kept))


def join(one: Change, other: Change) -> Change:
    """Return `one` with the commits, numbers and words of `other`."""
    words = [t for t in (other.text, *other.also) if subjects.plain(t) != subjects.plain(one.text)]
    return replace(
        one,
        commits=tuple(dict.fromkeys((*one.commits, *other.commits))),
        pulls=tuple(dict.fromkeys((*one.pulls, *other.pulls))),
        breaking=one.breaking or other.breaking,
        notes=tuple(dict.fromkeys((*one.notes, *other.notes))),
        also=tuple(dict.fromkeys((*one.also, *words))),
        files=tuple(dict.fromkeys((*one.files, *other.files))),
        body=one.body or other.body,
    )


def _keys(change: Change) -> Iterator[object]:
    yield ("subject", change.type, (change.scope or "").lower(), subjects.plain(change.text))
    if change.branch:
        # Commits of a merged branch that say no type of their own are one change: the request.
        if change.type is None:
            yield from (("branch", number) for number in change.pulls)
        return
    yield from (("pull", number) for number in change.pulls)


def _same(one: Change, other: Change) -> bool:
    """Say whether two changes that share a key are one, whatever their words."""
    if _reverts(one) != _reverts(other):
        return False
    if one.branch or other.branch:
        return True
    if one.type is None or other.type is None:
        return True
    return one.type == other.type and one.scope == other.scope


def _reverts(change: Change) -> bool:
    return change.type == "revert" or change.text.lower().startswith(("revert", "reapply"))
