"""Cuts documents into pieces that an embedder takes: whole paragraphs, as far as they fit."""

from collections.abc import Iterator

NAME = "paragraphs"
VERSION = "1"
"""To be raised when the same text is cut differently."""


def pieces(text: str, *, words: int) -> Iterator[str]:
    """Yield the text in pieces of at most `words` words; nothing of it is lost but white space.

    A paragraph ends at an empty line, and is only cut where it is too long by itself.
    """
    waiting: list[str] = []
    for paragraph in _paragraphs(text):
        if waiting and len(waiting) + len(paragraph) > words:
            yield " ".join(waiting)
            waiting = []
        waiting += paragraph
        while len(waiting) > words:
            yield " ".join(waiting[:words])
            waiting = waiting[words:]
    if waiting:
        yield " ".join(waiting)


def _paragraphs(text: str) -> Iterator[list[str]]:
    found: list[str] = []
    for line in text.splitlines():
        said = line.split()
        if said:
            found += said
        elif found:
            yield found
            found = []
    if found:
        yield found
