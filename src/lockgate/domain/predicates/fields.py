"""Reads members of decoded JSON that somebody else wrote, and says which one is wrong.

Members that are not asked for are ignored, as the in-toto Attestation Framework demands of
consumers ("Parsing rules" of `spec/v1/README.md`).
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from lockgate.domain.decimals import decimal_of
from lockgate.domain.digest import Digest
from lockgate.domain.instants import instant_of
from lockgate.errors import Corrupt, LockgateError

MAX_TEXT: Final = 4096
MAX_ITEMS: Final = 10_000


class Fields:
    """One JSON object and where it stands. Every method raises Corrupt for a wrong member."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise Corrupt(f"{where} is not an object: `{str(value)[:80]}`")
        self._value: Mapping[str, Any] = value
        self._where = where

    def has(self, name: str) -> bool:
        return self._value.get(name) is not None

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a string of at most 4,096 characters; not empty unless there is a default."""
        value = self._value.get(name, default)
        if not isinstance(value, str) or len(value) > MAX_TEXT or not (value or default == ""):
            raise self.wrong(name, "is not a text")
        return value

    def integer(self, name: str, *, default: int | None = None) -> int:
        """Return an integer from 0."""
        value = self._value.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.wrong(name, "is not a number from 0")
        return value

    def boolean(self, name: str) -> bool:
        value = self._value.get(name)
        if not isinstance(value, bool):
            raise self.wrong(name, "is neither true nor false")
        return value

    def decimal(self, name: str) -> Decimal:
        """Return a number that was written as text."""
        try:
            return decimal_of(self.text(name))
        except ValueError as error:
            raise Corrupt(f"{self._where}.{name}: {error}") from error

    def instant(self, name: str) -> datetime:
        try:
            return instant_of(self.text(name))
        except ValueError as error:
            raise Corrupt(f"{self._where}.{name}: {error}") from error

    def digest(self, name: str) -> Digest:
        """Return what `{"sha256": HEX}` names."""
        hexadecimal = self.inside(name).text("sha256")
        try:
            return Digest.parse(f"sha256:{hexadecimal}")
        except LockgateError as error:
            raise Corrupt(f"{self._where}.{name}: {error.message}") from error

    def inside(self, name: str) -> "Fields":
        """Return an object."""
        return Fields(self._value.get(name), f"{self._where}.{name}")

    def each(self, name: str) -> list["Fields"]:
        """Return a list of objects; empty if there is no such member."""
        return [
            Fields(item, f"{self._where}.{name}[{index}]")
            for index, item in enumerate(self._items(name))
        ]

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings; empty if there is no such member."""
        found = self._items(name)
        if not all(isinstance(item, str) and len(item) <= MAX_TEXT for item in found):
            raise self.wrong(name, "is not a list of texts")
        return tuple(found)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return an object as it is; empty if there is no such member."""
        value = self._value.get(name, {})
        if not isinstance(value, Mapping):
            raise self.wrong(name, "is not an object")
        return value

    def wrong(self, name: str, problem: str) -> Corrupt:
        """Return the error to raise about a member."""
        value = f"`{str(self._value[name])[:80]}`" if name in self._value else "missing"
        return Corrupt(f"{self._where}.{name} {problem}: {value}")

    def _items(self, name: str) -> list[Any]:
        value = self._value.get(name, [])
        if not isinstance(value, list | tuple) or len(value) > MAX_ITEMS:
            raise self.wrong(name, f"is not a list of at most {MAX_ITEMS} items")
        return list(value)
