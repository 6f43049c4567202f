"""SQL as tokens: words, names in quotes, texts, numbers, parameters, signs."""

import re
from dataclasses import dataclass

MAX_TOKENS = 50_000
_WORD = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+")
_PARAMETER = re.compile(r":[A-Za-z_]\w*|\$[0-9]+|@@?[A-Za-z_][\w.]*|\?")
_SIGNS = (
    *("->>", "<=>", "!=", "<>", "<=", ">=", "||", "&&", ":=", "::", "<<", ">>", "->"),
    *"+-*/%(),.;=<>!~&|^[]",
)
_SPACES = re.compile(r"\s+")


class SqlError(ValueError):
    """The text is not SQL of the dialect."""


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is word, name, text, number, parameter, sign or end."""

    kind: str
    text: str
    """Words upper case."""
    raw: str = ""


END = Token("end", "")


def tokens(sql: str, *, mysql: bool) -> list[Token]:
    """Cut up a text.

    Raises:
        SqlError: a quote or a comment is not closed, or a character belongs to nothing.

    """
    found: list[Token] = []
    at = 0
    while at < len(sql):
        if space := _SPACES.match(sql, at):
            at = space.end()
            continue
        skipped = _comment(sql, at, mysql=mysql)
        if skipped is not None:
            at = skipped
            continue
        token, at = _token(sql, at)
        found.append(token)
        if len(found) > MAX_TOKENS:
            raise SqlError(f"more than {MAX_TOKENS} tokens")
    return found


def _comment(sql: str, at: int, *, mysql: bool) -> int | None:
    """Return the place behind the comment at `at`; None if there is none."""
    if sql.startswith("--", at) or (mysql and sql[at] == "#"):
        end = sql.find("\n", at)
        return len(sql) if end < 0 else end + 1
    if sql.startswith("/*", at):
        end = sql.find("*/", at + 2)
        if end < 0:
            raise SqlError("a comment is not closed")
        return end + 2
    return None


def _token(sql: str, at: int) -> tuple[Token, int]:
    character = sql[at]
    if character in "'\"`":
        text, end = _quoted(sql, at, character)
        kind = "text" if character == "'" else "name" if character == "`" else "double"
        return Token(kind, text, text), end
    for kind, pattern in (("word", _WORD), ("number", _NUMBER), ("parameter", _PARAMETER)):
        if found := pattern.match(sql, at):
            text = found[0].upper() if kind == "word" else found[0]
            return Token(kind, text, found[0]), found.end()
    for sign in _SIGNS:
        if sql.startswith(sign, at):
            return Token("sign", sign, sign), at + len(sign)
    raise SqlError(f"`{character}` is unexpected")


def _quoted(sql: str, at: int, quote: str) -> tuple[str, int]:
    """Return what is between quotes, and the place behind; doubled quotes stand for one."""
    start = at + 1
    place = start
    while True:
        place = sql.find(quote, place)
        if place < 0:
            raise SqlError("a quote is not closed")
        if sql.startswith(quote * 2, place):
            place += 2
            continue
        if quote != "`" and _escaped(sql, place, start):
            place += 1
            continue
        return sql[start:place], place + 1


def _escaped(sql: str, place: int, start: int) -> bool:
    count = 0
    while place - 1 - count >= start and sql[place - 1 - count] == "\\" and count < MAX_TOKENS:
        count += 1
    return count % 2 == 1
