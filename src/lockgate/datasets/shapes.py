"""Learns the shapes of observed rows, and makes rows of those shapes that nobody wrote.

Of a text only its shape is kept, such as `AAA-9999`, never its letters; of numbers their range; of
a member how often it is there. Values that repeat over many rows are categories and are kept.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lockgate.datasets.synth import words
from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.draw import Draw
from lockgate.errors import InvalidInput

_MAX_CATEGORIES: Final = 20
_OFTEN: Final = 5
"""How often a value must be seen on average to be a category, and not somebody's data."""
_MAX_SHAPES: Final = 50
_CODE: Final = 40
"""A text without a space, up to this length, is a code: it is drawn by its shape."""
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = "0123456789"


@dataclass(slots=True)
class Shape:
    """What was seen at one place of the rows."""

    seen: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    """Scalars as JSON, while they are few."""
    many: bool = False
    low: float = 0.0
    high: float = 0.0
    shapes: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=lambda: [0, 0])
    counts: list[int] = field(default_factory=lambda: [0, 0])
    members: dict[str, "Shape"] = field(default_factory=dict)
    items: "Shape | None" = None

    def add(self, value: Json) -> None:  # noqa: C901  a table
        """Learn from a value."""
        self.seen += 1
        match value:
            case Mapping():
                self.kinds["object"] += 1
                for name, item in value.items():
                    self.members.setdefault(name, Shape()).add(item)
            case list() | tuple():
                self._widen(self.counts, len(value), first=not self.kinds["array"])
                self.kinds["array"] += 1
                for item in value:
                    if self.items is None:
                        self.items = Shape()
                    self.items.add(item)
            case bool() | None:
                self.kinds["scalar"] += 1
                self._count(value)
            case int() | float():
                kind = "integer" if isinstance(value, int) else "number"
                first = not (self.kinds["integer"] or self.kinds["number"])
                self.low = value if first else min(self.low, value)
                self.high = value if first else max(self.high, value)
                self.kinds[kind] += 1
                self._count(value)
            case str():
                self._widen(self.lengths, len(value), first=not self.kinds["string"])
                self.kinds["string"] += 1
                self._count(value)
                if len(value) <= _CODE and " " not in value and "\n" not in value:
                    code = _shape(value)
                    if code in self.shapes or len(self.shapes) < _MAX_SHAPES:
                        self.shapes[code] += 1

    def draw(self, draw: Draw) -> Json:  # noqa: PLR0911  a table
        """Make a value like those seen."""
        kind = _weighted(self.kinds, draw)
        scalars = self.seen - self.kinds["object"] - self.kinds["array"]
        is_scalar = kind not in {"object", "array"}
        if is_scalar and self._has_categories(scalars):
            found: Json = json.loads(_weighted(self.values, draw))
            return found
        match kind:
            case "object":
                whole = self.kinds["object"]
                drawn = ((n, s, draw.below(whole) < s.seen) for n, s in self.members.items())
                return {name: shape.draw(draw) for name, shape, kept in drawn if kept}
            case "array":
                length = self.counts[0] + draw.below(self.counts[1] - self.counts[0] + 1)
                return [self.items.draw(draw) for _ in range(length)] if self.items else []
            case "integer":
                return int(self.low) + draw.below(int(self.high) - int(self.low) + 1)
            case "number":
                return round(self.low + draw.share() * (self.high - self.low), 6)
            case "string":
                return self._text(draw)
            case _:
                return None

    def _text(self, draw: Draw) -> str:
        codes = self.shapes.total()
        if codes and draw.below(self.kinds["string"]) < codes:
            return _written(_weighted(self.shapes, draw), draw)
        return words(draw, least=self.lengths[0], most=self.lengths[1])

    def _has_categories(self, scalars: int) -> bool:
        return bool(self.values) and not self.many and scalars >= _OFTEN * len(self.values)

    def _count(self, value: Json) -> None:
        key = json.dumps(value)
        if self.many:
            return
        self.values[key] += 1
        if len(self.values) > _MAX_CATEGORIES:
            self.many = True
            self.values.clear()

    @staticmethod
    def _widen(bounds: list[int], value: int, *, first: bool) -> None:
        bounds[0] = value if first else min(bounds[0], value)
        bounds[1] = max(bounds[1], value)


def like(rows: Sequence[JsonObject], count: int, *, seed: int) -> list[JsonObject]:
    """Return rows of the shapes of those given.

    Raises:
        InvalidInput: there is nothing to learn from.

    """
    if not rows:
        raise InvalidInput("there are no rows to learn shapes from", hint="give a file with rows")
    shape = Shape()
    for row in rows:
        shape.add(row)
    found: list[JsonObject] = []
    for number in range(count):
        value = shape.draw(Draw(seed, "like", str(number)))
        assert isinstance(value, dict), "rows are objects"
        found.append(value)
    return found


def _weighted(counts: Counter[str], draw: Draw) -> str:
    at = draw.below(max(1, counts.total()))
    for name in sorted(counts):
        at -= counts[name]
        if at < 0:
            return name
    return "scalar"


def _shape(text: str) -> str:
    """Return a text with its letters and digits by their class alone."""
    return "".join(
        "9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in text
    )


def _written(shape: str, draw: Draw) -> str:
    classes = {"9": _DIGITS, "A": _UPPER, "a": _LOWER}
    return "".join(draw.pick(classes[c]) if c in classes else c for c in shape)
