"""Makes cases from a JSON Schema, as a seed decides."""

from collections.abc import Mapping, Sequence
from typing import Final

from lockgate.domain.digest import Json, JsonObject
from lockgate.domain.draw import Draw
from lockgate.errors import InvalidInput

MAX_ITEMS: Final = 5
MAX_DEPTH: Final = 12
_RANGE: Final = 1_000
_TEXT: Final = 40
_STEPS: Final = 1_000
WORDS: Final = (
    "build", "deploy", "service", "request", "timeout", "cache", "index", "worker", "queue",
    "token", "record", "upload", "retry", "release", "branch", "commit", "module", "schema",
    "client", "server", "failed", "passed", "missing", "expired", "broken", "slow", "empty",
    "large", "nested", "invalid", "partial", "remote", "local", "daily", "every", "after",
    "before", "without", "because",
)  # fmt: skip
_FORMATS: Final[Mapping[str, str]] = {
    "date": "20{:02d}-{:02d}-{:02d}",
    "date-time": "20{:02d}-{:02d}-{:02d}T12:00:00Z",
    "time": "{:02d}:{:02d}:{:02d}Z",
    "email": "user-{}{}{}@example.invalid",
    "uri": "https://example.invalid/{}/{}/{}",
    "ipv4": "203.0.113.{}",
    "uuid": "",
}


def from_schema(schema: JsonObject, count: int, *, seed: int) -> list[JsonObject]:
    """Return objects of a schema. Not every keyword is read: validate what is made.

    Raises:
        InvalidInput: the schema describes no objects, or has a `$ref` or a `pattern`.

    """
    rows: list[JsonObject] = []
    for number in range(count):
        value = _value(schema, Draw(seed, "row", str(number)), depth=0)
        if not isinstance(value, dict):
            raise InvalidInput(
                f"the schema describes a {type(value).__name__}, and a row is an object",
                hint='give it the type "object"',
            )
        rows.append(value)
    return rows


def _value(schema: Json, draw: Draw, *, depth: int) -> Json:  # noqa: C901, PLR0911, PLR0912
    if depth > MAX_DEPTH:
        return None
    if not isinstance(schema, Mapping):
        return True
    for keyword in ("$ref", "pattern"):
        if keyword in schema:
            raise InvalidInput(
                f"`{keyword}` of a schema is not followed here",
                hint="give an enum or a length in its place, or use `--like FILE`",
            )
    if "const" in schema:
        return schema["const"]
    if isinstance(options := schema.get("enum"), Sequence) and options:
        return draw.pick(options)
    for keyword in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(keyword), Sequence) and options:
            return _value(draw.pick(options), draw, depth=depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, Sequence) and not isinstance(kind, str):
        kind = draw.pick(kind)
    match kind:
        case "object":
            return _object(schema, draw, depth)
        case "array":
            return _array(schema, draw, depth)
        case "string":
            return _text(schema, draw)
        case "integer" | "number":
            return _number(schema, draw, whole=kind == "integer")
        case "boolean":
            return bool(draw.below(2))
        case _:
            return None


def _object(schema: JsonObject, draw: Draw, depth: int) -> JsonObject:
    properties = schema.get("properties")
    required = schema.get("required")
    needed = set(required) if isinstance(required, list | tuple) else set()
    found: dict[str, Json] = {}
    for name, detail in (properties if isinstance(properties, Mapping) else {}).items():
        # Drawn whether it is kept or not: a member must not change what stands behind it.
        kept = draw.below(4) > 0
        if name in needed or kept:
            found[name] = _value(detail, draw, depth=depth + 1)
    return found


def _array(schema: JsonObject, draw: Draw, depth: int) -> list[Json]:
    least = _bound(schema, "minItems", 0)
    most = max(least, min(_bound(schema, "maxItems", MAX_ITEMS), least + MAX_ITEMS))
    length = least + draw.below(most - least + 1)
    return [_value(schema.get("items", {}), draw, depth=depth + 1) for _ in range(length)]


def _text(schema: JsonObject, draw: Draw) -> str:
    form = schema.get("format")
    if form == "uuid":
        digits = draw.text("0123456789abcdef", 32)
        return "-".join(
            (digits[:8], digits[8:12], f"4{digits[13:16]}", f"8{digits[17:20]}", digits[20:])
        )
    if isinstance(form, str) and form in _FORMATS:
        return _FORMATS[form].format(*(draw.below(12) + 1 for _ in range(3)))
    least = _bound(schema, "minLength", 1)
    most = max(least, min(_bound(schema, "maxLength", least + _TEXT), least + 10 * _TEXT))
    return words(draw, least=least, most=most)


def words(draw: Draw, *, least: int, most: int) -> str:
    """Return plain words, cut to a length between two bounds."""
    length = least + draw.below(most - least + 1)
    parts: list[str] = []
    size = 0
    while size <= length:
        parts.append(draw.pick(WORDS))
        size += len(parts[-1]) + 1
    text = " ".join(parts)[:length]
    return text[:-1] + "x" if text.endswith(" ") else text


def _number(schema: JsonObject, draw: Draw, *, whole: bool) -> float:
    low = _limit(schema, ("minimum", "exclusiveMinimum"), 0.0)
    high = _limit(schema, ("maximum", "exclusiveMaximum"), low + _RANGE)
    step = schema.get("multipleOf")
    if whole:
        # Bounds that are excluded lie one step outside.
        first = int(-(-low // 1)) + ("exclusiveMinimum" in schema and low == low // 1)
        last = int(high // 1) - ("exclusiveMaximum" in schema and high == high // 1)
        unit = int(step) if isinstance(step, int) and step > 0 else 1
        first = -(-first // unit)
        return (first + draw.below(max(1, last // unit - first + 1))) * unit
    share = (1 + draw.below(_STEPS - 1)) / _STEPS  # never at a bound, which may be excluded
    return round(low + share * (high - low), 6)


def _limit(schema: JsonObject, names: tuple[str, str], default: float) -> float:
    for name in names:
        value = schema.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return default


def _bound(schema: JsonObject, name: str, default: int) -> int:
    value = schema.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default
