"""JSON bodies, decoded into the types that are expected and nothing else.

A body with one name twice is refused: what we check and what somebody behind us reads could
differ. msgspec does not notice, so it is shown by counting colons: a body and what is made of it
have the same ones in their strings, and one for each name that counted. Only a body with an
escape that could stand for a colon is parsed a second time, slowly.
"""

import json
import re
from typing import Any, TypeVar

import msgspec

from lockgate.errors import InvalidInput
from lockgate.server.requests import Body

T = TypeVar("T", bound=Body)

MAX_DEPTH = 64
MAX_VALUES = 500_000
"""In a body. An empty list is two bytes of it and fifty of memory."""
_encode = msgspec.json.Encoder().encode
_SHOWN = 200
# What divides values, and texts, whose commas divide none. `++`: nothing is read twice.
_DIVIDES = re.compile(rb'[,\[{]|"(?:[^"\\]++|\\.)*+(?:"|\Z)', re.DOTALL)


_QUOTE = ord('"')


def decode(data: bytes, decoder: "msgspec.json.Decoder[T]") -> tuple[T, bytes]:
    """Return a body as its type, and encoded again: without white space, each name once.

    Raises:
        InvalidInput: it is not JSON, not of that type, nested too deeply, or says a thing twice.

    """
    if len(data) > MAX_VALUES:
        _refuse_many(data)
    try:
        value = decoder.decode(data)
        encoded = _encode(value)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the body does not fit: {str(error)[:_SHOWN]}") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidInput(f"the body is not JSON: {str(error)[:_SHOWN]}") from error
    except RecursionError:
        raise _too_deep() from None
    if value.nests and data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _refuse_depth(msgspec.json.decode(data))
    # A colon is `\u003a`; other escapes, of which texts that are not English are full, are none.
    if encoded.count(b":") != data.count(b":") or b"\\u003" in data:
        refuse_twins(data)
    return value, encoded


def _refuse_many(data: bytes) -> None:
    """Refuse a text of so many values that they would take many times its size."""
    if sum(map(data.count, (b",", b"[", b"{"))) <= MAX_VALUES:
        return
    dividing = 0
    for found in _DIVIDES.finditer(data):
        dividing += data[found.start()] != _QUOTE
        if dividing > MAX_VALUES:
            raise InvalidInput(f"the body has more than {MAX_VALUES} values")


def refuse_twins(data: bytes) -> None:
    """Refuse a JSON text in which an object has a name twice.

    Raises:
        InvalidInput: one has.

    """
    try:
        json.loads(data, object_pairs_hook=_pairs)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # an integer that has too many digits
        raise InvalidInput(f"the body is not JSON: {str(error)[:_SHOWN]}") from error


def _pairs(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) == len(pairs):
        return
    names = [name for name, _ in pairs]
    twin = next(name for name in names if names.count(name) > 1)
    raise InvalidInput(f"the body has the name `{twin[:80]}` twice")


def _refuse_depth(value: Any) -> None:
    """Refuse a decoded value that is nested too deeply."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(v for v in item.values() if isinstance(v, dict | list))
            elif isinstance(item, list):
                inner.extend(v for v in item if isinstance(v, dict | list))
        if not inner:
            return
        level = inner
    raise _too_deep()


def _too_deep() -> InvalidInput:
    return InvalidInput(f"the body is nested more than {MAX_DEPTH} deep")


def json_object(data: bytes) -> dict[str, Any]:
    """Return a body that is some JSON object.

    Raises:
        InvalidInput: it is not, is nested too deeply, or says a thing twice.

    """
    if len(data) > MAX_VALUES:
        _refuse_many(data)
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidInput(f"the body is not JSON: {str(error)[:_SHOWN]}") from error
    except RecursionError:
        raise _too_deep() from None
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _refuse_depth(value)
    refuse_twins(data)
    if not isinstance(value, dict):
        raise InvalidInput("the body is JSON, but not an object")
    return value
