"""Folds the updates of one dependency into one line: from the first version to the last."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lockgate.tasks.release_notes import duplicates
from lockgate.tasks.release_notes.commits import Change

# The words of Dependabot and of Renovate; people write them much the same.
_BUMP = re.compile(
    r"(?:bump|upgrade|update)s? (?P<name>\S{1,150})(?: requirement)?"
    r" from (?P<old>\S{1,60}) to (?P<new>\S{1,60})(?P<place> in \S{1,150})?",
    re.IGNORECASE,
)
_UPDATE = re.compile(
    r"(?:update|bump|upgrade)s? (?:(?:module|dependency|crate) )?(?P<name>\S{1,150})"
    r"(?P<what> (?:action|docker tag|docker digest|digest|commit hash|orb))? to (?P<new>\S{1,60})"
    r"(?: \[security\])?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One step of one dependency."""

    name: str
    old: str | None
    new: str
    place: str = ""


def parse(text: str) -> Update | None:
    """Read `Bump NAME from OLD to NEW in PLACE`, and Renovate's `Update module NAME to NEW`."""
    if found := _BUMP.fullmatch(text):
        place = found["place"] or ""
        return Update(name=found["name"], old=found["old"], new=found["new"], place=place)
    if found := _UPDATE.fullmatch(text):
        return Update(name=found["name"] + (found["what"] or ""), old=None, new=found["new"])
    return None


def fold(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Fold the updates of one dependency into the newest. `changes` are newest first."""
    kept: list[Change] = []
    at: dict[tuple[str, str], int] = {}
    first: dict[int, Update] = {}
    for change in changes:
        update = parse(change.text)
        home = at.get((update.name, update.place)) if update else None
        if update is None or home is None or kept[home].breaking != change.breaking:
            if update is not None:
                at[update.name, update.place] = len(kept)
                first[len(kept)] = update
            kept.append(change)
            continue
        kept[home] = duplicates.join(kept[home], change)
        first[home] = replace(first[home], old=update.old)
    return tuple(_worded(change, first.get(n)) for n, change in enumerate(kept))


def _worded(change: Change, update: Update | None) -> Change:
    if update is None or update.old is None or len(change.commits) == 1:
        return change
    text = f"Bump {update.name} from {update.old} to {update.new}{update.place}"
    return replace(change, text=text)
