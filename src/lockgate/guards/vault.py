"""The values that placeholders of one call stand for. In memory only, and never shown."""

from collections.abc import Iterable, Mapping

from lockgate.domain.guard import Category, placeholder


class Vault:
    """Gives each distinct value of a call its placeholder, and gives values back."""

    __slots__ = ("_given", "_given_to", "_number", "_of_value", "_prefixes", "_taken", "_values")

    def __init__(self) -> None:
        self._of_value: dict[str, str] = {}
        self._values: dict[str, tuple[Category, str]] = {}
        self._given: Mapping[str, tuple[Category, str]] = {}
        self._given_to: Mapping[str, str] | None = None
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
        if known is None and self._given_to is not None:
            known = self._given_to.get(value)
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

    def fork(self) -> "Vault":
        """Return a vault for one text of the answer.

        It gives back what is in here, and not what it hides itself: an answer must not reveal its
        own. It numbers its own values as if there were no other text: what comes of a stream must
        not depend on how its texts are mixed.
        """
        fork = Vault()
        fork._given, fork._given_to = self._values, self._of_value
        fork._taken, fork._number = self._taken, self._number
        return fork

    def reveal(self, given: str, categories: frozenset[Category]) -> str | None:
        """Return the value of a placeholder if its category may be given back."""
        found = self._given.get(given)
        return found[1] if found is not None and found[0] in categories else None

    def __repr__(self) -> str:
        return f"Vault({len(self._values)} values)"
