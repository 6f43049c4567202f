"""Splits the body of a squash merge into the commits that it was made of."""

import re

from lockgate.tasks.release_notes import conventional, subjects
from lockgate.tasks.release_notes.conventional import Header

MAX_PARTS = 100
_ITEM = re.compile(r"^(?:[*+-] )?([A-Za-z]{2,12}(?:\([^()\n]{1,80}\))?!?: \S[^\n]*)$", re.MULTILINE)
_OWN_LINE = frozenset({"feat", "fix", "docs", "perf", "security", "deprecate", "remove"})
_ALIKE = 0.6
_SAYS = re.compile(r"(?!https?://)[^A-Za-z0-9]{0,3}[A-Za-z]")


def parts(body: str) -> list[tuple[Header, str]]:
    """Return the conventional commits in a body's list, each with its line, in order.

    Items are lines `* feat: text`, and lines `fix: text` that begin a paragraph.
    """
    if ": " not in body:
        return []
    found = []
    for item in _ITEM.finditer(body):
        bullet = body[item.start()] in "*+-"
        before = body[: item.start()]
        if not bullet and before and not before.endswith("\n\n"):
            continue
        header = conventional.header(item[1])
        # `Fixes: #12` is a trailer, and an address is no description.
        if header is not None and header.type == header.kind and _SAYS.match(header.description):
            found.append((header, item[1]))
        if len(found) == MAX_PARTS:
            break
    return found


def stands_alone(header: Header) -> bool:
    """Say whether a part of a squash is worth a line beside the squash's own."""
    return header.breaking or header.kind in _OWN_LINE


def alike(one: str, other: str) -> bool:
    """Say whether two lines name the same change in nearly the same words."""
    left, right = set(subjects.words(one)), set(subjects.words(other))
    if not left or not right:
        return subjects.plain(one) == subjects.plain(other)
    return len(left & right) / len(left | right) >= _ALIKE
