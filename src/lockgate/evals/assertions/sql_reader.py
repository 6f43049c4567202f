"""What the parts of the SQL parser share: the place in the tokens, and what was used."""

from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from lockgate.evals.assertions.sql_tokens import END, SqlError, Token

MAX_DEPTH = 100
T = TypeVar("T")
_RESERVED = frozenset(
    "ADD ALL ALTER AND AS ASC BETWEEN BY CASE CREATE CROSS DELETE DESC DISTINCT DROP ELSE "
    "EXCEPT EXISTS FALSE FROM FULL GROUP HAVING IN INNER INSERT INTERSECT INTO IS JOIN LEFT "
    "LIKE LIMIT NOT NULL ON OR ORDER OUTER RIGHT SELECT SET TABLE THEN TRUE UNION UPDATE "
    "USING VALUES WHEN WHERE WITH".split()
)
_RESERVED_MYSQL = frozenset({"KEY", "REPLACE", "XOR", "REGEXP", "RLIKE", "FOR"})
_RESERVED_OTHERS = frozenset({"ILIKE", "RETURNING", "NATURAL", "ARRAY", "LATERAL"})


class Reader:
    """Walks over tokens. The dialect is MySQL's, or one close to PostgreSQL's."""

    def __init__(self, tokens: Sequence[Token], *, mysql: bool) -> None:
        self.tokens = tokens
        self.mysql = mysql
        self.at = 0
        self.depth = 0
        self.tables: set[str] = set()
        self.columns: set[str] = set()
        self.reserved = _RESERVED | (_RESERVED_MYSQL if mysql else _RESERVED_OTHERS)

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else END

    def is_next(self, *words: str, ahead: int = 0) -> bool:
        """Say whether the next token is one of these words or signs."""
        token = self.peek(ahead)
        return token.kind in {"word", "sign"} and token.text in words

    def accept(self, *words: str) -> str:
        """Take these words in a row if they all stand there; return the last, else nothing."""
        if all(self.is_next(word, ahead=offset) for offset, word in enumerate(words)):
            self.at += len(words)
            return words[-1]
        return ""

    def one_of(self, *words: str) -> str:
        """Take one of these words if it stands there."""
        if self.is_next(*words):
            self.at += 1
            return self.tokens[self.at - 1].text
        return ""

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            self.fail(f"expected `{' '.join(words)}`")

    def fail(self, problem: str) -> NoReturn:
        token = self.peek()
        raise SqlError(f"{problem} at `{token.raw or 'the end'}`")

    def name(self) -> str:
        """Take a name: a word that is not reserved, or anything in quotes."""
        token = self.peek()
        if token.kind in {"name", "double"} or (
            token.kind == "word" and token.text not in self.reserved
        ):
            self.at += 1
            return token.raw
        return self.fail("expected a name")

    def is_name(self) -> bool:
        token = self.peek()
        return token.kind == "name" or (token.kind == "word" and token.text not in self.reserved)

    def names(self) -> list[str]:
        """Take names with dots between."""
        found = [self.name()]
        while self.accept("."):
            token = self.peek()
            if token.kind == "word":  # behind a dot any word is a name
                self.at += 1
                found.append(token.raw)
            else:
                found.append(self.name())
        return found

    def table(self, use: str) -> list[str]:
        """Take the name of a table and note what is done with it."""
        found = self.names()
        place = found[-2] if len(found) > 1 else "null"
        self.tables.add(f"{use}::{place}::{found[-1]}")
        return found

    def list_of(self, take: Callable[[], object]) -> int:
        """Take items with commas between; return how many."""
        count = 1
        take()
        while self.accept(","):
            take()
            count += 1
        return count

    def in_brackets(self, take: Callable[[], object]) -> None:
        self.expect("(")
        take()
        self.expect(")")

    def deeper(self, take: Callable[[], T]) -> T:
        """Take something nested, up to a depth that no person writes."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise SqlError(f"more than {MAX_DEPTH} levels")
        found = take()
        self.depth -= 1
        return found
