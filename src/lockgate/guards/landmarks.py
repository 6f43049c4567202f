"""Finds what every match of a pattern holds, so that a search may skip what lies before it."""

import re
from dataclasses import dataclass
from typing import assert_never

from lockgate.guards.pattern import Atom, Choice, Edge, Flagged, Node, Repeat, Sequence


@dataclass(frozen=True, slots=True)
class Landmark:
    """What every match holds, so that a search may begin where it stands."""

    literal: bytes
    before: int
    """The most bytes of a match that stand before it."""


_MOST_BEFORE = 1024
_WIDEST = 4
"""Bytes of a character in UTF-8."""
_LITERAL = re.compile(r"[\x20-\x7e]|\\[^\w\s]")
_CASELESS = re.compile(r"(?i:[a-z])")


def landmark(node: Node) -> Landmark | None:
    """Return a text that each match holds near its beginning; None if there is no such text."""
    found: list[Landmark] = []
    _survey(node, 0, found, caseless=False)
    return max(found, key=lambda mark: (len(mark.literal), -mark.before), default=None)


def behind_classes(node: Node) -> Node:
    """Return a tree that matches in every text in which `node` does, and begins with a literal.

    Classes before it match in any text, and an automaton of many patterns has a state for each way
    to be inside of several. One character is no landmark: it stands in any text too.
    """
    if not isinstance(node, Sequence):
        return node
    for at, part in enumerate(node.parts):
        if all(map(_literal_of, node.parts[at : at + 2])):
            return Sequence(node.parts[at:])
        inner = part.node if isinstance(part, Repeat) else part
        options = inner.options if isinstance(inner, Choice) else (inner,)
        if not all(isinstance(option, Atom | Edge) for option in options):
            break
    return node


def _survey(  # noqa: PLR0911
    node: Node, before: int, found: list[Landmark], *, caseless: bool
) -> int | None:
    """Add what a node holds whatever it matches, and return the bytes up to its end if bounded."""
    match node:
        case Edge():
            return before
        case Atom():
            literal = _literal(node, caseless=caseless)
            if literal:
                found.append(Landmark(literal, before))
            return before + _WIDEST
        case Flagged():
            return _survey(node.node, before, found, caseless=caseless or "i" in node.flags)
        case Sequence():
            return _survey_parts(node.parts, before, found, caseless=caseless)
        case Choice():
            ends = [_survey(option, before, [], caseless=caseless) for option in node.options]
            return None if None in ends else max(end for end in ends if end is not None)
        case Repeat():
            end = _survey(node.node, before, found if node.least else [], caseless=caseless)
            if end is None or node.most is None:
                return None
            return before + (end - before) * node.most
        case _:
            assert_never(node)


def _survey_parts(
    parts: "tuple[Node, ...]", start: int, found: list[Landmark], *, caseless: bool
) -> int | None:
    before: int | None = start
    run, run_from = b"", start
    for part in parts:
        if before is None or before > _MOST_BEFORE:
            break
        literal = _literal(part, caseless=caseless) if isinstance(part, Atom) else b""
        if not literal:
            run = b""
            before = _survey(part, before, found, caseless=caseless)
            continue
        run_from = run_from if run else before
        run += literal
        found.append(Landmark(run, run_from))
        before += _WIDEST
    return before


def _literal_of(node: Node) -> bytes:
    return _literal(node, caseless=False) if isinstance(node, Atom) else b""


def _literal(atom: Atom, *, caseless: bool) -> bytes:
    if not _LITERAL.fullmatch(atom.text) or atom.text == ".":
        return b""
    character = atom.text[-1]
    return b"" if caseless and _CASELESS.match(character) else character.encode()
