"""Levenshtein's distance in the bit-parallel form of Myers and Hyyrö.

G. Myers, "A fast bit-vector algorithm for approximate string matching", J. ACM 46 (1999), with
H. Hyyrö's change for edit distance (2003). Python's integers are the bit vectors, of any length.
"""

from collections.abc import Hashable, Sequence

from lockgate.evals.javascript import code_units


def edit_distance(left: str, right: str) -> int:
    """Return how many insertions, deletions and substitutions part two texts."""
    if left == right:
        return 0
    first, second = code_units(left), code_units(right)
    if type(first) is not type(second):  # one has characters beyond 16 bits
        first, second = _integers(first), _integers(second)
    pattern, text = (first, second) if len(first) <= len(second) else (second, first)
    return _distance(pattern, text) if pattern else len(text)


def _integers(units: Sequence[str] | Sequence[int]) -> Sequence[int]:
    return [ord(unit) if isinstance(unit, str) else unit for unit in units]


def _distance(pattern: Sequence[Hashable], text: Sequence[Hashable]) -> int:
    positions: dict[Hashable, int] = {}
    for at, unit in enumerate(pattern):
        positions[unit] = positions.get(unit, 0) | 1 << at
    mask = (1 << len(pattern)) - 1
    last = 1 << len(pattern) - 1
    score = len(pattern)
    rises, falls = mask, 0
    for unit in text:
        matches = positions.get(unit, 0)
        diagonal = (((matches & rises) + rises) ^ rises) | matches | falls
        up = falls | ~(diagonal | rises) & mask
        down = rises & diagonal
        if up & last:
            score += 1
        elif down & last:
            score -= 1
        up = (up << 1 | 1) & mask
        down = (down << 1) & mask
        rises = down | ~(diagonal | up) & mask
        falls = up & diagonal
    return score
