"""What of a call can be compared over time: sizes, counts, categories, confidences, vectors."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lockgate.domain.digest import Json, JsonObject

EMBEDDING: Final = "embedding"
"""The member of a row that holds a vector."""
MAX_FEATURES: Final = 60
_MAX_DEPTH: Final = 4
_MAX_MEMBERS: Final = 200
_MAX_CATEGORIES: Final = 30
_SHORT: Final = 40
_COMMON: Final = 0.5
"""The share of the reference's rows that must have a feature."""
_FEW: Final = 4
"""Numbers with fewer different values are categories."""


class Kind(StrEnum):
    """How a feature is compared."""

    NUMBER = "number"
    CATEGORY = "category"
    VECTOR = "vector"


Value = float | str | Sequence[float]
Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A name that rows have a value under."""

    name: str
    kind: Kind


def row_of(value: JsonObject) -> dict[str, Value]:
    """Return the features of one call: every member, nested ones by their path.

    A text gives its length, and itself as a category if it is short; a list gives its count.
    """
    found: dict[str, Value] = {}
    vector = value.get(EMBEDDING)
    if isinstance(vector, list | tuple) and vector and all(_is_number(v) for v in vector):
        found[EMBEDDING] = [float(v) for v in vector]
    for name, item in value.items():
        if name != EMBEDDING:
            _flatten(name, item, found, 1)
    return found


def _flatten(path: str, value: Json, into: dict[str, Value], depth: int) -> None:
    if len(into) >= _MAX_MEMBERS:
        return
    match value:
        case None | bool():
            into[path] = "null" if value is None else str(value).lower()
        case int() | float() if math.isfinite(value):
            into[path] = float(value)
        case str():
            into[f"{path}.length"] = float(len(value))
            if len(value) <= _SHORT and "\n" not in value:
                into[path] = value
        case Mapping() if depth < _MAX_DEPTH:
            for name, item in value.items():
                _flatten(f"{path}.{name}", item, into, depth + 1)
        case list() | tuple():
            into[f"{path}.count"] = float(len(value))
        case _:
            pass


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def choose(rows: Sequence[Row]) -> list[Feature]:
    """Return what can be compared with these rows: what most have, and what says something.

    A name with many different texts is left out: identifiers and free text always differ.
    """
    counts: Counter[str] = Counter(name for row in rows for name in row)
    names = sorted(name for name, count in counts.items() if count >= _COMMON * len(rows))
    features = [feature for name in names if (feature := _feature(name, rows)) is not None]
    return features[:MAX_FEATURES]


def _feature(name: str, rows: Sequence[Row]) -> Feature | None:
    if name == EMBEDDING:
        return Feature(name=name, kind=Kind.VECTOR)
    values = [row[name] for row in rows if name in row]
    different = set(map(str, values))
    if all(isinstance(value, float) for value in values) and len(different) >= _FEW:
        return Feature(name=name, kind=Kind.NUMBER)
    if len(different) <= _MAX_CATEGORIES:
        return Feature(name=name, kind=Kind.CATEGORY)
    return None


def numbers_of(feature: Feature, rows: Iterable[Row]) -> list[float]:
    """Return a feature's numbers, in the rows' order; rows without one are left out."""
    return [v for row in rows if isinstance(v := row.get(feature.name), float)]


def categories_of(feature: Feature, rows: Iterable[Row]) -> list[str]:
    """Return a feature's values as words."""
    return [_word(row[feature.name]) for row in rows if feature.name in row]


def vectors_of(feature: Feature, rows: Iterable[Row]) -> list[list[float]]:
    """Return a feature's vectors."""
    return list(_vectors(feature, rows))


def _vectors(feature: Feature, rows: Iterable[Row]) -> Iterator[list[float]]:
    for row in rows:
        value = row.get(feature.name)
        if value is not None and not isinstance(value, str | float):
            yield list(value)


def _word(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def place_of(category: str) -> float:
    """Return a fixed number of a category, for tests that rank values.

    Of its name alone: an order that was taken from the reference would be fitted to it.
    """
    return int.from_bytes(hashlib.sha256(category.encode("utf-8", "replace")).digest()[:6]) / 2**48
