"""Reads the values of a TOML table and collects what is wrong with them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_LARGEST = 2**53  # RFC 8785: larger ones are not exact in canonical JSON


class Fields:
    """One table. Each method returns an empty value after noting a problem, and goes on."""

    def __init__(self, place: str, table: object, problems: list[str]) -> None:
        self._place = place
        self._seen: set[str] = set()
        self._table: Mapping[str, Any] = {}
        self.problems = problems
        """Shared by all tables of a file: `place.key: what is wrong`."""
        if isinstance(table, Mapping):
            self._table = {key: value for key, value in table.items() if value is not None}
        else:
            self.refuse("", "must be a table")

    def refuse(self, key: str, reason: str) -> None:
        """Note a problem with a key, or with the table if `key` is empty."""
        self.problems.append(
            f"{self._place}.{key}: {reason}" if key else f"{self._place}: {reason}"
        )

    def check_name(self, name: str, pattern: str) -> None:
        """Hold the table's own name to a pattern."""
        if re.fullmatch(pattern, name) is None:
            self.refuse("", f"the name must match `{pattern}`")

    def text(self, key: str, pattern: str | None = None) -> str:
        """Return a string that must be there."""
        value = self._take(key)
        if value is None:
            self.refuse(key, "is missing")
            return ""
        return self._checked(key, value, pattern)

    def optional(self, key: str, pattern: str | None = None) -> str:
        """Return a string, empty if it is not there."""
        value = self._take(key)
        return "" if value is None or value == "" else self._checked(key, value, pattern)

    def integer(self, key: str) -> int:
        """Return a whole number that must be there."""
        value = self.optional_integer(key)
        if key not in self._table:
            self.refuse(key, "is missing")
        return value or 0

    def optional_integer(self, key: str) -> int | None:
        """Return a whole number; None if it is not there."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
            self.refuse(key, f"is `{value}`, must be a whole number from 0 to 2**53")
            return None
        return value

    def tables(self, key: str) -> Iterator["Fields"]:
        """Yield the tables of a list that must have at least one."""
        value = self._take(key)
        if not isinstance(value, list | tuple) or not value:
            self.refuse(key, "must be a list with at least one table")
            return
        for position, table in enumerate(value):
            yield Fields(f"{self._place}.{key}[{position}]", table, self.problems)

    def refuse_unknown(self) -> None:
        """Note each key that nobody asked for."""
        for key in sorted(map(str, self._table.keys() - self._seen)):
            self.refuse(key, "is not a known key")

    def _take(self, key: str) -> object:
        self._seen.add(key)
        return self._table.get(key)

    def _checked(self, key: str, value: object, pattern: str | None) -> str:
        # Paths come as such from the configuration.
        text = str(value) if hasattr(value, "__fspath__") else value
        if not isinstance(text, str) or not text:
            self.refuse(key, f"is `{value!r}`, must be a string")
            return ""
        if pattern is not None and re.fullmatch(pattern, text) is None:
            self.refuse(key, f"is `{text[:80]}`, must match `{pattern}`")
            return ""
        return text
