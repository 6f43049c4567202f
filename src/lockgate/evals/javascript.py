"""How JavaScript writes and compares values: promptfoo's verdicts depend on it.

Sources: ECMA-262, sections 6.1.6.1.20 (Number::toString), 7.1.17 (ToString), 25.5 (JSON).
"""

import json
import math
import re
from collections.abc import Mapping, Sequence

from lockgate.domain.digest import Json

WHITE_SPACE = "\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What `\\s` matches and `trim` removes (ECMA-262 12.2, 12.3), as the inside of a class."""
_SPACES = re.compile(f"[{WHITE_SPACE}]+")
_TRIM_START = re.compile(f"^[{WHITE_SPACE}]+")
_TRIMMED = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_SAFE_INTEGER = 2**53
_FIXED_BELOW = 1e21
_SMALLEST_FIXED = -6
_LONG_INTEGER = 400
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def trim(text: str) -> str:
    """Return `text` as `String.prototype.trim` does."""
    return text.strip(_TRIMMED)


def split_spaces(text: str) -> list[str]:
    r"""Split as `text.split(/\s+/)` does: an empty text gives one empty word."""
    return _SPACES.split(text)


def code_units(text: str) -> Sequence[str] | Sequence[int]:
    """Return what JavaScript counts as characters: UTF-16 code units."""
    if _ASTRAL.search(text) is None:
        return text
    data = text.encode("utf-16-le", "surrogatepass")
    return [data[at] | data[at + 1] << 8 for at in range(0, len(data), 2)]


def number_text(value: float) -> str:  # noqa: PLR0911  one a form
    """Write a number as `String(value)` does."""
    if isinstance(value, int):
        if abs(value) <= _SAFE_INTEGER:
            return str(value)
        try:
            value = float(value)
        except OverflowError:
            return "Infinity" if value > 0 else "-Infinity"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) < _FIXED_BELOW:
        return str(int(value))
    mantissa, mark, exponent = repr(value).partition("e")
    if not mark:
        return mantissa
    power = int(exponent)
    if _SMALLEST_FIXED <= power < 0:
        sign = "-" if value < 0 else ""
        return f"{sign}0.{'0' * (-power - 1)}{mantissa.lstrip('-').replace('.', '')}"
    return f"{mantissa}e{power:+d}"


def text_of(value: Json) -> str:
    """Return `String(value)`; nothing for null, as templates print it."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case Mapping():
            return "[object Object]"
        case _:
            return ",".join(text_of(item) for item in value)


def stringify(value: Json, indent: int | None = None) -> str:
    """Return `JSON.stringify(value, null, indent)`: keys in their order."""
    return json.dumps(
        _whole(value),
        ensure_ascii=False,
        indent=indent,
        separators=(",", ": ") if indent else (",", ":"),
    )


def text_output(output: Json) -> str:
    """Return an output as text: a structured one as compact JSON."""
    return output if isinstance(output, str) else stringify(output)


def _whole(value: Json) -> Json:
    """Return `value` with the floats that JavaScript writes without a fraction as integers."""
    match value:
        case float():
            if not math.isfinite(value):
                return None
            return int(value) if value.is_integer() and abs(value) < _FIXED_BELOW else value
        case str() | bool() | int() | None:
            return value
        case Mapping():
            return {name: _whole(item) for name, item in value.items()}
        case _:
            return [_whole(item) for item in value]


def parse(text: str) -> Json:
    """Return `JSON.parse(text)`.

    Raises:
        ValueError: not JSON; NaN and Infinity are not, either.

    """
    try:
        value: Json = json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _refuse(name: str) -> Json:
    raise ValueError(f"`{name}` is not JSON")


def _integer(text: str) -> int | float:
    return int(text) if len(text) < _LONG_INTEGER else math.copysign(math.inf, text[0] != "-" or -1)


def same(left: Json, right: Json) -> bool:
    """Compare deeply: unlike Python's `==`, true is not 1."""
    if isinstance(left, Mapping):
        return (
            isinstance(right, Mapping)
            and left.keys() == right.keys()
            and all(same(item, right[name]) for name, item in left.items())
        )
    if isinstance(left, Sequence) and not isinstance(left, str):
        return (
            isinstance(right, Sequence)
            and not isinstance(right, str)
            and len(left) == len(right)
            and all(map(same, left, right))
        )
    return isinstance(left, bool) == isinstance(right, bool) and left == right
