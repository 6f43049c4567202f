"""Splits texts into sentences by rules: ends of sentences, and of lines."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_BREAK = re.compile(r"(?<=[.!?])[ \t]+(?=\S)|\n+")
_SHORTEST = 3


class Span(NamedTuple):
    """A sentence, with its place in characters."""

    start: int
    end: int
    text: str


def spans(text: str) -> Iterator[Span]:
    """Yield the sentences in order; in linear time, whatever the text."""
    start = 0
    for match in _BREAK.finditer(text):
        yield Span(start, match.start(), text[start : match.start()])
        start = match.end()
    yield Span(start, len(text), text[start:])


def sentences(text: str) -> Sequence[str]:
    """Return the sentences of three characters or more, without the space around them."""
    parts = (span.text.strip() for span in spans(text))
    return [part for part in parts if len(part) >= _SHORTEST]
