"""Asks RE2 where a pattern matches, with as little around each answer as can be.

A hostile text holds a match every ten bytes, and the binding's own objects around a match take
longer than to find it.
"""

from collections.abc import Callable, Sequence
from functools import partial

import re2
from re2 import _re2

Spans = Sequence[tuple[int, int]]
Search = Callable[[bytes, int, int], Spans]
"""Where the pattern and its groups match first from a byte on and before another; (-1, -1) where
they do not."""

NOWHERE = (-1, -1)


def search_of(pattern: "re2._Regexp[str]") -> Search:
    """Return the search of a compiled pattern: the machine's own if the binding still shows it."""
    machine = getattr(pattern, "_regexp", None)
    match = getattr(machine, "Match", None)
    if match is None:
        return _public(pattern)
    return partial(match, _re2.RE2.Anchor.UNANCHORED)


def _public(pattern: "re2._Regexp[str]") -> Search:
    groups = range(pattern.groups + 1)

    def search(data: bytes, start: int, end: int) -> Spans:
        found = pattern.search(data, start, end)
        return [NOWHERE] if found is None else [found.span(group) for group in groups]

    return search
