"""Hypothesis strategies from JSON Schemas, and changes of texts that should change nothing.

Imported only for `property` and `metamorphic`: Hypothesis is an optional extra.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidInput

_DEEPEST = 6
_LONGEST = 60
_MOST_ITEMS = 4
_LARGEST = 10**6
Strategy = st.SearchStrategy[Any]


def from_schema(schema: JsonObject, depth: int = 0) -> Strategy:
    """Return values that match a schema of types, bounds, enumerations and alternatives.

    Raises:
        InvalidInput: the schema has what is not generated, such as a reference.

    """
    if depth > _DEEPEST:
        raise InvalidInput("the schema is nested too deeply to generate inputs from")
    for name in ("$ref", "allOf", "not", "if", "patternProperties"):
        if name in schema:
            raise InvalidInput(
                f"no inputs are generated from a schema with `{name}`",
                hint="give a simpler one as `schema` of the assertion",
            )
    if "const" in schema:
        return st.just(schema["const"])
    if isinstance(schema.get("enum"), list):
        return st.sampled_from(list(schema["enum"]))  # type: ignore[arg-type]
    for name in ("anyOf", "oneOf"):
        if isinstance(schema.get(name), list):
            return st.one_of([from_schema(_object(part), depth + 1) for part in schema[name]])  # type: ignore[union-attr]
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    listed = kinds if isinstance(kinds, list) else [kinds]
    return st.one_of([_of_kind(str(kind), schema, depth) for kind in listed])


def _of_kind(kind: str, schema: JsonObject, depth: int) -> Strategy:  # noqa: PLR0911  a table
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            low, high = _bounds(schema, -_LARGEST, _LARGEST)
            return st.integers(int(low), int(high))
        case "number":
            low, high = _bounds(schema, -_LARGEST, _LARGEST)
            return st.floats(low, high, allow_nan=False, width=32 if low == -_LARGEST else 64)
        case "array":
            item = _object(schema.get("items", {"type": "string"}))
            least = _whole(schema.get("minItems"), 0)
            most = min(_whole(schema.get("maxItems"), _MOST_ITEMS), least + _MOST_ITEMS)
            return st.lists(from_schema(item, depth + 1), min_size=least, max_size=most)
        case "object":
            return _objects(schema, depth)
        case "string":
            if isinstance(schema.get("pattern"), str):
                return st.from_regex(str(schema["pattern"]))
            least = _whole(schema.get("minLength"), 0)
            most = min(_whole(schema.get("maxLength"), _LONGEST), least + _LONGEST)
            return st.text(_CHARACTERS, min_size=least, max_size=most)
        case _:
            raise InvalidInput(f"the schema has the type `{kind[:40]}`, which is none")


def _objects(schema: JsonObject, depth: int) -> Strategy:
    members = {
        n: from_schema(_object(s), depth + 1)
        for n, s in _object(schema.get("properties", {})).items()
    }
    wanted = schema.get("required", [])
    required = {str(name) for name in wanted} if isinstance(wanted, list) else set()
    return st.fixed_dictionaries(
        {name: each for name, each in members.items() if name in required},
        optional={name: each for name, each in members.items() if name not in required},
    )


_CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cn"))


def _spaced(text: str, places: Sequence[int]) -> str:
    parts = text.split(" ")
    for place in places:
        if len(parts) > 1:
            parts[place % (len(parts) - 1)] += " "
    return " ".join(parts)


def _shuffled(text: str, keys: Sequence[int]) -> str:
    lines = text.split("\n")
    order = sorted(range(len(lines)), key=lambda at: (keys[at % len(keys)] if keys else 0, at))
    return "\n".join(lines[at] for at in order)


_PLACES = st.lists(st.integers(0, 200), min_size=1, max_size=6)
CHANGES: Mapping[str, tuple[Strategy, Callable[[str, Any], str]]] = {
    "extra-spaces": (_PLACES, _spaced),
    "shuffled-lines": (_PLACES, _shuffled),
    "trailing-newlines": (st.integers(1, 5), lambda text, count: text + "\n" * count),
    "upper-case": (st.just(0), lambda text, _: text.upper()),
    "lower-case": (st.just(0), lambda text, _: text.lower()),
    "appended": (
        st.text(_CHARACTERS, min_size=1, max_size=40),
        lambda text, more: f"{text}\n{more}",
    ),
}
"""Changes of a text by name: what is drawn, and what is made of it."""


def _bounds(schema: JsonObject, low: float, high: float) -> tuple[float, float]:
    least, most = schema.get("minimum", low), schema.get("maximum", high)
    if not isinstance(least, int | float) or not isinstance(most, int | float) or least > most:
        raise InvalidInput(f"the schema has the bounds `{least!r:.40}` and `{most!r:.40}`")
    return least, most


def _whole(value: Json, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _object(value: Json) -> JsonObject:
    if not isinstance(value, Mapping):
        raise InvalidInput("the schema has a part that is no object")
    return value
