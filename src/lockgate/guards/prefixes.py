"""Finds the rules for tokens: a few fixed characters, and then a run of letters and digits.

Automata that follow one run for all of them, in place of the run of each, need a tenth of the
states.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from lockgate.guards.pattern import Atom, Choice, Edge, Flagged, Node, Repeat, Sequence

_RUNS = ("[A-Za-z0-9_-]", "[A-Za-z0-9_+/=.%~$:@-]")
"""The characters of tokens; the narrower run is tried first."""
_LEAST = 3
"""Characters of a prefix."""
_TELLING = 4
"""Characters of a prefix that other words seldom have."""
_TAIL = 8
"""Characters that follow a prefix in what may be a token."""
_MOST = 48
"""Prefixes and forms of one rule."""
_MOST_OF_CLASS = 9
_LITERAL = re.compile(r"[\x20-\x7e]|\\[^\w\s]")
_SMALL_CLASS = re.compile(r"\[([a-zA-Z0-9]+)\]")
_Key = TypeVar("_Key")
_SAMPLE = [*map(chr, range(128)), "\x80", "ß", "\u2028", "漢"]


@dataclass(frozen=True, slots=True)
class Token:
    """One form of a token."""

    prefixes: tuple[str, ...]
    run: str
    """The characters that may follow a prefix, as a class."""
    least: int
    """How many of them follow at least."""
    edge: str
    r"""`\b` where no character of a word may stand before it."""


def tokens(tree: Node) -> list[Token | Node]:
    """Return what a tree may match: tokens, and trees of what is something else."""
    parts = list(_flat(tree))
    choice = parts[0] if len(parts) == 1 else None
    if isinstance(choice, Choice):
        return [found for option in choice.options for found in tokens(option)]
    made = [_token(option) for option in _options(tree)]
    found = [token for token in made if token is not None]
    # The forms of what is no token stay together: they share most of their states.
    return [*found] if len(found) == len(made) <= _MOST else [tree]


def beginnings_of(found: Iterable[Token]) -> str:
    """Return a pattern of the beginnings of tokens."""
    prefixes = _by((token.run, token) for token in found)
    every = {p[:size] for some in prefixes.values() for p in some for size in range(len(p))}
    parts = [f"(?:{_either(some)}){run}*" for run, some in prefixes.items()]
    return "|".join([_either(every), *parts]) if parts else ""


def gate_of(found: Iterable[Token]) -> str:
    """Return a pattern that matches, with few states, where one of the tokens does."""
    prefixes = _by(((token.edge, token.run), token) for token in found)
    return "|".join(
        f"{edge}(?:{_either(some)}){run}{{{_TAIL}}}" for (edge, run), some in prefixes.items()
    )


def _by(found: Iterable[tuple[_Key, Token]]) -> dict[_Key, set[str]]:
    prefixes: dict[_Key, set[str]] = {}
    for key, token in found:
        prefixes.setdefault(key, set()).update(token.prefixes)
    return prefixes


def is_rare(found: Token | Node) -> bool:
    """Say whether few texts without a secret begin like this."""
    if not isinstance(found, Token) or found.least < _TAIL:
        return False
    return min(map(len, found.prefixes)) >= _TELLING


def flat(node: Node) -> Node:
    """Return a sequence without groups in it."""
    return Sequence(tuple(_flat(node))) if isinstance(node, Sequence) else node


def _either(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(texts)))


def _options(node: Node) -> Iterator[Node]:
    """Yield sequences that together match what a node does."""
    parts = list(_flat(node))
    for at, part in enumerate(parts):
        if isinstance(part, Choice) and _literals(part) is None:
            for option in part.options:
                yield from _options(Sequence((*parts[:at], option, *parts[at + 1 :])))
            return
    yield Sequence(tuple(parts))


def _flat(node: Node) -> Iterator[Node]:
    """Yield the parts of a sequence, those of its groups too."""
    if not isinstance(node, Sequence):
        yield node
        return
    for part in node.parts:
        yield from _flat(part)


def _token(node: Node) -> Token | None:
    parts = list(_flat(node))
    edge = r"\b" if parts and parts[0] == Edge(r"\b") else ""
    made = [""]
    while parts:
        options = _literals(parts[0])
        if options is None:
            break
        made = [prefix + option for prefix in made for option in options]
        if len(made) > _MOST:
            return None
        del parts[0]
    if min(map(len, made)) < _LEAST:
        return None
    run = next((run for run in _RUNS if all(_is_of(part, run) for part in parts)), None)
    return None if run is None else Token(tuple(made), run, sum(map(_least, parts)), edge)


def _literals(node: Node) -> list[str] | None:  # noqa: PLR0911
    """Return the few texts that a node matches; None if they are many."""
    match node:
        case Edge():
            return [""]
        case Atom():
            small = _SMALL_CLASS.fullmatch(node.text)
            if small and len(small[1]) <= _MOST_OF_CLASS:
                return list(small[1])
            plain = _LITERAL.fullmatch(node.text) and node.text != "."
            return [node.text[-1]] if plain else None
        case Sequence():
            made = [""]
            for part in node.parts:
                options = _literals(part)
                if options is None:
                    return None
                made = [prefix + option for prefix in made for option in options]
            return made
        case Choice():
            each = [_literals(option) for option in node.options]
            return None if None in each else [text for texts in each for text in texts or ()]
        case _:
            return None


def _least(node: Node) -> int:
    """Return the least number of characters that a node matches."""
    match node:
        case Atom():
            return 1
        case Sequence():
            return sum(map(_least, node.parts))
        case Choice():
            return min(map(_least, node.options))
        case Repeat():
            return node.least * _least(node.node)
        case _:
            return 0


def _is_of(node: Node, run: str) -> bool:
    """Say whether all that a node matches is made of the characters of a run."""
    match node:
        case Edge():
            return True
        case Atom():
            return _is_within(node.text, run)
        case Sequence():
            return all(_is_of(part, run) for part in node.parts)
        case Choice():
            return all(_is_of(option, run) for option in node.options)
        case Repeat():
            return _is_of(node.node, run)
        case Flagged():
            return False


@lru_cache(maxsize=512)
def _is_within(atom: str, run: str) -> bool:
    if "[:" in atom or re.match(r"\\[pPxzA]", atom):
        return False
    matched, allowed = re.compile(atom), re.compile(run)
    return all(allowed.fullmatch(c) for c in _SAMPLE if matched.fullmatch(c))
