"""Folds changes that say the same in other words, by the cosine of their embeddings."""

import re
from array import array
from collections.abc import Mapping, Sequence
from operator import mul

from lockgate.domain.inference import Vector
from lockgate.tasks.release_notes import duplicates, path_rules, subjects
from lockgate.tasks.release_notes.commits import Change

ALIKE_FROM = 0.93
_SHARED = 0.25
MOST = 3_000
"""Changes beyond which pairs are too many to compare."""
_FACT = re.compile(r"[\d_@`=]|\w[A-Z]|\w[./:-]\w|^--?\w")


_MARKS = "`'\",;:.()"


def candidates(changes: Sequence[Change]) -> list[str]:
    """Return the texts that share enough words with another change to be worth comparing."""
    texts = [changes[at].text for pair in _pairs(changes) for at in pair]
    return list(dict.fromkeys(texts))


def fold(changes: Sequence[Change], vectors: Mapping[str, Vector]) -> tuple[Change, ...]:
    """Fold near duplicates into the oldest of each group. `changes` are newest first."""
    home: dict[int, int] = {}
    kept = dict(enumerate(changes))
    for newer, older in _pairs(changes):
        at = home.get(older, older)
        if newer in home or not _same(changes[newer], changes[older], vectors):
            continue
        kept[at] = duplicates.join(kept[at], kept.pop(newer))
        home[newer] = at
        home |= {n: at for n, to in home.items() if to == newer}
    return tuple(kept[at] for at in sorted(kept))


def _pairs(changes: Sequence[Change]) -> list[tuple[int, int]]:
    """Return (newer, older) positions of changes with common words, the same facts and verb."""
    seen = [(set(subjects.words(c.text)), _facts(c)) for c in changes]
    return [
        (newer, older)
        for newer in range(len(changes))
        for older in range(newer + 1, len(changes))
        if seen[newer][1] == seen[older][1]
        and len(seen[newer][0] & seen[older][0]) > _SHARED * len(seen[newer][0] | seen[older][0])
    ]


def _facts(change: Change) -> tuple[object, ...]:
    """Return what must be equal: numbers, identifiers, the verb, the scope, breaking or not.

    Embeddings hardly tell `add` from `remove`, or one version from another.
    """
    words = change.text.split()
    first = words[0].lower() if words else ""
    verb = path_rules.verb(first) or first
    names = frozenset(w.strip(_MARKS).lower() for w in words if _FACT.search(w))
    return (names, verb, (change.scope or "").lower(), change.breaking)


def _same(one: Change, other: Change, vectors: Mapping[str, Vector]) -> bool:
    left, right = vectors.get(one.text), vectors.get(other.text)
    if left is None or right is None or one.type != other.type or len(left) != len(right):
        return False
    return cosine(left, right) >= ALIKE_FROM


def cosine(left: Vector, right: Vector) -> float:
    """Return the product of two unit vectors."""
    return float(sum(map(mul, _floats(left), _floats(right))))


def _floats(vector: Vector) -> Sequence[float]:
    return array("f", vector)
