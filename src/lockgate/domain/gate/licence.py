"""Licence expressions (SPDX 2.3, annex D), and whether a list of licences allows one.

`A OR B` needs one of them, `A AND B` both. `A WITH E` only adds permissions to `A`, so a list
allows it if it names either `A` or `A WITH E`; `A+` is allowed where `A` or `A+` is. Identifiers
are compared without regard to case (annex D.2).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

MAX_CHARACTERS: Final = 2000
MAX_DEPTH: Final = 20

_TOKEN: Final = re.compile(r"\(|\)|[A-Za-z0-9.:+-]+")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_IDENTIFIER: Final = re.compile(
    r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+|[A-Za-z0-9.-]+\+?"
)
_OPERATORS: Final = frozenset({"AND", "OR", "WITH"})


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence, perhaps with an exception."""

    name: str
    exception: str = ""


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold: `AND`."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One part may be chosen: `OR`."""

    parts: tuple["Expression", ...]


Expression: TypeAlias = Licence | Every | Either


def parse(text: str) -> Expression:
    """Read an expression. `AND` binds closer than `OR`.

    Raises:
        ValueError: it is no expression, too long or nested too deeply.

    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{len(text):,} characters, at most {MAX_CHARACTERS:,} allowed")
    reader = _Reader(_tokens(text))
    found = reader.either(0)
    if reader.token is not None:
        raise ValueError(f"`{reader.token}` follows a whole expression")
    return found


def is_allowed(expression: Expression, allowed: Iterable[str]) -> bool:
    """Say whether the licences in `allowed` permit the use."""
    return _permits(expression, frozenset(" ".join(item.split()).casefold() for item in allowed))


def _permits(expression: Expression, allowed: frozenset[str]) -> bool:
    match expression:
        case Every(parts):
            return all(_permits(part, allowed) for part in parts)
        case Either(parts):
            return any(_permits(part, allowed) for part in parts)
        case Licence(name, exception):
            names = {name.casefold(), name.casefold().removesuffix("+")}
            names |= {f"{n} with {exception.casefold()}" for n in names} if exception else set()
            return not names.isdisjoint(allowed)


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    while True:
        space = _SPACE.match(text, at)
        at = space.end() if space else at
        if at == len(text):
            return found
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"`{text[at]}` cannot stand in a licence expression")
        found.append(token[0])
        at = token.end()


@dataclass(slots=True)
class _Reader:
    """Recursive descent; the depth is bounded, so that the stack is."""

    tokens: list[str]
    at: int = field(default=0)

    @property
    def token(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def takes(self, word: str) -> bool:
        # Annex D.2 writes operators in upper case; many files do not.
        if self.token is None or self.token.upper() != word:
            return False
        self.at += 1
        return True

    def either(self, depth: int) -> Expression:
        parts = [self.every(depth)]
        while self.takes("OR"):
            parts.append(self.every(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def every(self, depth: int) -> Expression:
        parts = [self.one(depth)]
        while self.takes("AND"):
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def one(self, depth: int) -> Expression:
        if depth >= MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        if self.takes("("):
            found = self.either(depth + 1)
            if not self.takes(")"):
                raise ValueError("a `(` is not closed")
            return found
        name = self.identifier("a licence")
        exception = self.identifier("an exception") if self.takes("WITH") else ""
        return Licence(name, exception)

    def identifier(self, what: str) -> str:
        token = self.token
        bad = token is None or token.upper() in _OPERATORS
        if token is None or bad or _IDENTIFIER.fullmatch(token) is None:
            raise ValueError(f"{what} is missing{f' before `{token}`' if token else ' at the end'}")
        self.at += 1
        return token
