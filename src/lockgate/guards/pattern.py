"""Reads the part of RE2's syntax that rules use, and makes the pattern of its beginnings.

`beginnings(p)` matches every text that some text could complete to a match of `p`. It may match
more, never less: a stream holds back what could still become a match, and a beginning that was
missed would be a secret let through. Grammar: https://github.com/google/re2/wiki/Syntax.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias, assert_never


@dataclass(frozen=True, slots=True)
class Atom:
    """One character: a literal, an escape, a class or a dot."""

    text: str


@dataclass(frozen=True, slots=True)
class Edge:
    r"""A place between characters: `^`, `$`, `\b`, `\B`, `\A`, `\z`."""

    text: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Repeat:
    """From `least` to `most` times; `most` is None for without end."""

    node: "Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Flagged:
    """A group with flags of its own, such as `(?i:...)`."""

    flags: str
    node: "Node"


Node: TypeAlias = Atom | Edge | Sequence | Choice | Repeat | Flagged

_MOST_COUNTED = 4
_COUNT = re.compile(r"\{(\d+)(,(\d*))?\}")
_LEADING = re.compile(r"(?:\(\?[a-z]+\))?(?:\\b)?")
_GROUP = re.compile(r"\(\?([a-zA-Z]*)([:)])|\(\?P?<\w+>")
_POSIX = re.compile(r"\[:\^?[a-z]+:\]")
_LONG_ESCAPE = re.compile(r"\\(?:x\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{2}|[pP]\{\^?\w+\}|[pP]\w)")


def parse(pattern: str) -> Node:
    r"""Return the tree of a pattern.

    Raises:
        ValueError: it has something that rules may not use: back references do not exist in RE2,
            and `\Q`, `\C` and lazy repetition are left out because nothing needs them.

    """
    reader = _Reader(pattern)
    node = reader.choice()
    if reader.at != len(pattern):
        raise ValueError(f"unbalanced `)` at {reader.at} of the pattern `{pattern}`")
    return node


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def choice(self) -> Node:
        options = [self._sequence()]
        while self._peek() == "|":
            self.at += 1
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            flags = _GROUP.match(self.pattern, self.at)
            if flags and flags[2] == ")":
                # Flags without a body hold to the end of the group.
                self.at = flags.end()
                parts.append(Flagged(flags[1], self.choice()))
                break
            parts.append(self._repeated(self._one()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _one(self) -> Node:
        character = self._peek()
        match character:
            case "(":
                return self.group()
            case "[":
                return self._class()
            case "\\":
                return self._escape()
            case "^" | "$":
                self.at += 1
                return Edge(character)
            case "*" | "+" | "?":
                raise ValueError(f"nothing to repeat at {self.at} of `{self.pattern}`")
            case _:
                self.at += 1
                return Atom(re.escape(character) if character == "{" else character)

    def group(self) -> Node:
        opened = _GROUP.match(self.pattern, self.at)
        self.at = opened.end() if opened else self.at + 1
        node = self.choice()
        if self._peek() != ")":
            raise ValueError(f"a group of the pattern `{self.pattern}` is not closed")
        self.at += 1
        return Flagged(opened[1], node) if opened and opened[1] else node

    def _class(self) -> Node:
        start = self.at
        self.at += 2 if self.pattern.startswith("[^", start) else 1
        first = True
        while first or self._peek() != "]":
            if not self._peek():
                raise ValueError(f"a class of the pattern `{self.pattern}` is not closed")
            posix = _POSIX.match(self.pattern, self.at)
            self.at = posix.end() if posix else self.at + (2 if self._peek() == "\\" else 1)
            first = False
        self.at += 1
        return Atom(self.pattern[start : self.at])

    def _escape(self) -> Node:
        long = _LONG_ESCAPE.match(self.pattern, self.at)
        text = long[0] if long else self.pattern[self.at : self.at + 2]
        if text[1:2] in ("Q", "C", ""):
            raise ValueError(f"`{text}` at {self.at} of `{self.pattern}` is not for rules")
        self.at += len(text)
        return Edge(text) if text[1:] in ("b", "B", "A", "z") else Atom(text)

    def _repeated(self, node: Node) -> Node:
        while True:
            counted = _COUNT.match(self.pattern, self.at)
            simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._peek())
            if counted:
                least = int(counted[1])
                most = least if counted[2] is None else int(counted[3]) if counted[3] else None
                self.at = counted.end()
            elif simple:
                least, most = simple
                self.at += 1
            else:
                return node
            if self._peek() == "?":
                raise ValueError(f"lazy repetition at {self.at} of `{self.pattern}`")
            node = Repeat(node, least, most)


def is_one_group(pattern: str) -> bool:
    """Say whether the first group is all of what matches, so that no captures are needed."""
    opened = _LEADING.match(pattern)
    at = opened.end() if opened else 0
    if pattern[at : at + 1] != "(" or pattern[at + 1 : at + 2] == "?":
        return False
    reader = _Reader(pattern)
    reader.at = at
    reader.group()
    return pattern[reader.at :] in ("", r"\b")


def write(node: Node) -> str:
    """Return the tree as a pattern without capturing groups."""
    match node:
        case Atom() | Edge():
            return node.text
        case Sequence():
            return "".join(
                _grouped(part) if isinstance(part, Choice) else write(part) for part in node.parts
            )
        case Choice():
            return "|".join(write(option) for option in node.options)
        case Repeat():
            return _grouped(node.node) + _count(node.least, node.most)
        case Flagged():
            return f"(?{node.flags}:{write(node.node)})"
        case _:
            assert_never(node)


def loosened(node: Node, counted: int = _MOST_COUNTED, *, keep_least: bool = False) -> Node:
    """Return a tree that matches all that `node` does, and needs few states.

    Counts above `counted` become `+` or `*`, or `{counted,}` with `keep_least`. An automaton that
    runs backwards from the end of a beginning starts in all its states at once: with exact counts
    that took 800 us a text. One of many patterns has a state for each way to be inside of several:
    with exact counts a text of their pieces took 2.2 ms for 4 KB, without 0.08.
    """

    def inner(node: Node) -> Node:
        return loosened(node, counted, keep_least=keep_least)

    match node:
        case Atom() | Edge():
            return node
        case Sequence():
            return Sequence(tuple(inner(part) for part in node.parts))
        case Choice():
            return Choice(tuple(inner(option) for option in node.options))
        case Flagged():
            return Flagged(node.flags, inner(node.node))
        case Repeat():
            if max(node.least, node.most or 0) <= counted:
                return Repeat(inner(node.node), node.least, node.most)
            return Repeat(inner(node.node), min(node.least, counted if keep_least else 1), None)
        case _:
            assert_never(node)


def beginnings(node: Node) -> str:  # noqa: PLR0911
    """Return a pattern of all texts, the empty one too, that begin a match of `node`."""
    match node:
        case Atom():
            return f"{node.text}?"
        case Edge():
            # Whether it holds is known only with the next character.
            return ""
        case Sequence():
            return _begin_sequence(node.parts)
        case Choice():
            return "(?:" + "|".join(beginnings(option) for option in node.options) + ")"
        case Repeat():
            before = None if node.most is None else max(node.most - 1, 0)
            if isinstance(node.node, Atom):
                return node.node.text + _count(0, node.most)
            return _grouped(node.node) + _count(0, before) + beginnings(node.node)
        case Flagged():
            return f"(?{node.flags}:{beginnings(node.node)})"
        case _:
            assert_never(node)


def _begin_sequence(parts: "tuple[Node, ...]") -> str:
    if not parts:
        return ""
    rest = _begin_sequence(parts[1:])
    first = parts[0]
    if isinstance(first, Atom):
        return f"(?:{first.text}{rest})?"
    whole = _grouped(first) if isinstance(first, Choice) else write(first)
    return f"(?:{beginnings(first)}|{whole}{rest})"


def _grouped(node: Node) -> str:
    return write(node) if isinstance(node, Atom) else f"(?:{write(node)})"


def _count(least: int, most: int | None) -> str:
    return f"{{{least},{'' if most is None else most}}}"
