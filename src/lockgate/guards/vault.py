"""The values that placeholders of one call stand for. In memory only, and never shown."""

from collections.abc import Iterable

from lockgate.domain.guard import Category, placeholder


class Vault:
    """Gives each distinct value of a call its placeholder, and gives values back."""

    __slots__ = ("_given", "_number", "_of_value", "_prefixes", "_taken", "_values")

    def __init__(self) -> None:
        self._of_value: dict[str, str] = {}
        self._values: dict[str, tuple[Category, str]] = {}
        self._given: dict[str, tuple[Category, str]] = {}
        self._taken: set[str] = set()
        self._number = 0
        self._prefixes: dict[str, str] = {}
        """The beginning of a placeholder by rule."""

    def reserve(self, placeholders: Iterable[str]) -> None:
        """Keep placeholders that the text holds already from being given to a value."""
        self._taken.update(p for p in placeholders if p not in self._values)

    def hide(self, value: str, category: Category, rule: str) -> str:
        """Return the placeholder of a value, a new one if it was not seen before."""
        known = self._of_value.get(value)
        if known is not None:
            return known
        prefix = self._prefixes.get(rule)
        if prefix is None:
            prefix = self._prefixes[rule] = placeholder(category, rule, 0).removesuffix("0>")
        self._number += 1
        while (new := f"{prefix}{self._number}>") in self._taken:
            self._number += 1
        self._of_value[value] = new
        self._values[new] = (category, value)
        return new

    def end_of_input(self) -> None:
        """Let only what was hidden so far be revealed: an output must not reveal its own."""
        self._given = dict(self._values)

    def reveal(self, given: str, categories: frozenset[Category]) -> str | None:
        """Return the value of a placeholder if its category may be given back."""
        found = self._given.get(given)
        return found[1] if found is not None and found[0] in categories else None

    def __repr__(self) -> str:
        return f"Vault({len(self._values)} values)"
