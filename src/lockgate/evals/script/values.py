"""How JavaScript compares and converts values (ECMA-262, sections 7.1 and 7.2)."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lockgate.evals.javascript import number_text, trim

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z|[+-]?Infinity\Z")


class Undefined:
    """JavaScript's `undefined`: what is not there."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Final = Undefined()


def is_number(value: object) -> bool:
    """Say whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def truthy(value: Any) -> bool:
    """Return `Boolean(value)`: an empty list or object is true."""
    if value is None or value is UNDEFINED:
        return False
    if isinstance(value, str | bool):
        return bool(value)
    if is_number(value):
        return bool(value) and not math.isnan(value)
    return True


def number_of(value: Any) -> float:
    """Return `Number(value)`; NaN for what is none."""
    if isinstance(value, bool):
        return int(value)
    if is_number(value):
        return float(value) if isinstance(value, float) else int(value)
    if value is None:
        return 0
    if isinstance(value, str):
        text = trim(value)
        if not text:
            return 0
        return float(text.replace("Infinity", "inf")) if _NUMBER.match(text) else math.nan
    return math.nan


def text(value: Any) -> str:  # noqa: PLR0911  one a kind
    """Return `String(value)`."""
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_text(value)
    if isinstance(value, Mapping):
        return "[object Object]"
    if isinstance(value, Sequence):
        return ",".join("" if each is None or each is UNDEFINED else text(each) for each in value)
    raise TypeError("a function has no text here")


def strictly_equal(left: Any, right: Any) -> bool:
    """Return `left === right`: objects and lists are equal only to themselves."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return left is right


def loosely_equal(left: Any, right: Any) -> bool:
    """Return `left == right`."""
    nothing = (None, UNDEFINED)
    if any(left is each for each in nothing) or any(right is each for each in nothing):
        return any(left is each for each in nothing) and any(right is each for each in nothing)
    if type(left) is type(right) or (is_number(left) and is_number(right)):
        return strictly_equal(left, right)
    if isinstance(left, Mapping | list) and isinstance(right, Mapping | list):
        return left is right
    if isinstance(left, Mapping | list):
        return loosely_equal(text(left), right)
    if isinstance(right, Mapping | list):
        return loosely_equal(left, text(right))
    return number_of(left) == number_of(right)


def kind(value: Any) -> str:
    """Return `typeof value`."""
    if value is UNDEFINED:
        return "undefined"
    if isinstance(value, bool):
        return "boolean"
    if is_number(value):
        return "number"
    return "string" if isinstance(value, str) else "object"
