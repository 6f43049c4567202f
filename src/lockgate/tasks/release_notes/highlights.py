"""Picks the changes that readers should see first. Deterministic; no model has a say."""

import math
from collections.abc import Mapping, Sequence

from lockgate.tasks.release_notes import squash, subjects
from lockgate.tasks.release_notes.commits import Change

MOST = 4
_WEIGHT: Mapping[str, float] = {
    "breaking": 100,
    "security": 60,
    "added": 30,
    "deprecated": 22,
    "removed": 20,
    "changed": 10,
    "fixed": 8,
}
_SMALL = frozenset(
    {
        "typo",
        "typos",
        "whitespace",
        "comment",
        "comments",
        "lint",
        "formatting",
        "rename",
        "badge",
        "wording",
        "nit",
        "cleanup",
        "example",
        "examples",
        "test",
        "tests",
        "ci",
        "link",
        "links",
    }
)


def pick(sections: Mapping[str, Sequence[Change]]) -> tuple[Change, ...]:
    """Return the weightiest changes, best first, no two alike; none if nothing faces users."""
    ranked = [
        (-_score(name, change), at, change)
        for name, listed in sections.items()
        if name in _WEIGHT
        for at, change in enumerate(listed)
    ]
    ranked.sort(key=lambda row: row[:2])
    chosen: list[Change] = []
    for _, _, change in ranked:
        if len(chosen) == MOST:
            break
        if not any(squash.alike(change.text, other.text) for other in chosen):
            chosen.append(change)
    return tuple(chosen)


def _score(name: str, change: Change) -> float:
    """Weigh the section first, then what was written and touched: care shows in both."""
    size = math.log2(1 + len(change.files)) + math.log2(1 + len(change.body) / 100)
    sure = 1.0 if change.by == "conventional" else 0.5 + change.confidence / 2
    said = subjects.words(change.text)
    small = 0.4 if _SMALL.intersection(said) or len(said) < 3 else 1.0  # noqa: PLR2004
    return (_WEIGHT[name] + 3 * min(size, 8.0)) * sure * small
