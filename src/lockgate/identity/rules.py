"""What the bearer of a token may do: the first rule whose claims all match."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import re2

from lockgate.domain.identity import Role
from lockgate.errors import InvalidConfig

MAX_CLAIM: Final = 1024
_WILD: Final = re.compile(r"\*{1,2}")


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern for a whole value: `*` is any run without `/`, `**` any run. Linear in time."""

    pattern: str
    _matcher: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.pattern:
            raise InvalidConfig("a claim's pattern is empty", hint="`*` matches any value")
        parts = (re2.escape(part) for part in _WILD.split(self.pattern))
        wild = (".*" if stars == "**" else "[^/]*" for stars in _WILD.findall(self.pattern))
        text = next(parts) + "".join(w + p for w, p in zip(wild, parts, strict=True))
        object.__setattr__(self, "_matcher", re2.compile(f"(?s){text}"))

    def matches(self, value: str) -> bool:
        """Say whether all of the value fits. Letters' case counts."""
        return len(value) <= MAX_CLAIM and self._matcher.fullmatch(value) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Claims that must all be there and match, and what their bearer gets."""

    claims: Mapping[str, Glob]
    team: str
    roles: frozenset[Role]
    scopes: frozenset[str]

    def matches(self, claims: Mapping[str, Any]) -> bool:
        """Say whether a token's claims fit. Of a claim that is a list, one item is enough."""
        return all(
            any(glob.matches(text) for text in _texts(claims.get(name)))
            for name, glob in self.claims.items()
        )


def choose(rules: Sequence[Rule], claims: Mapping[str, Any]) -> Rule | None:
    """Return the first rule that matches."""
    return next((rule for rule in rules if rule.matches(claims)), None)


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, bool):
        return (str(value).lower(),)
    if isinstance(value, int):
        return (str(value),)
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return ()
