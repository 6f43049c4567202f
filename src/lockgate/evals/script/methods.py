"""Methods and functions that expressions may call: those of texts, lists and `Math`."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lockgate.evals.javascript import code_units, parse, stringify, trim
from lockgate.evals.js_pattern import compiled
from lockgate.evals.script.values import (
    UNDEFINED,
    number_of,
    strictly_equal,
    text,
    truthy,
)

MAX_LENGTH = 1 << 22
Call = Callable[..., Any]
_PLACES = frozenset({"at", "charAt", "indexOf", "lastIndexOf", "slice", "substring"})
"""Methods that count UTF-16 code units."""


def length(value: str | Sequence[Any]) -> int:
    """Return `value.length`: texts count UTF-16 code units."""
    return len(code_units(value)) if isinstance(value, str) else len(value)


def text_method(given: str, name: str) -> Call | None:
    """Return a method of a text; None: there is none."""
    units = code_units(given)
    if isinstance(units, str) or name not in _PLACES:
        return _text_method(given, name)
    call = _text_method("".join(chr(int(unit)) for unit in units), name)
    return lambda *values: _whole(call(*map(_halved, values))) if call else None


def _halved(value: Any) -> Any:
    """Return a text with a character for each UTF-16 code unit."""
    return "".join(chr(int(u)) for u in code_units(value)) if _is_astral(value) else value


def _is_astral(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(code_units(value), str)


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if not isinstance(value, str):
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _text_method(given: str, name: str) -> Call | None:
    plain: Mapping[str, Call] = {
        "includes": lambda part, start=0: given.find(text(part), _at(start)) >= 0,
        "startsWith": lambda part, start=0: given.startswith(text(part), _at(start)),
        "endsWith": lambda part: given.endswith(text(part)),
        "indexOf": lambda part, start=0: given.find(text(part), _at(start)),
        "lastIndexOf": lambda part: given.rfind(text(part)),
        "trim": lambda: trim(given),
        "trimStart": lambda: given[len(given) - len(trim(given + "x")[:-1]) :],
        "toLowerCase": given.lower,
        "toUpperCase": given.upper,
        "toString": lambda: given,
        "charAt": lambda at=0: given[_at(at) : _at(at) + 1],
        "at": lambda at=0: _item(given, at),
        "concat": lambda *more: _bounded(given + "".join(map(text, more))),
        "slice": lambda start=0, end=UNDEFINED: given[_slice(start, end)],
        "substring": lambda start, end=UNDEFINED: _substring(given, start, end),
        "repeat": lambda count: _repeated(given, count),
        "split": lambda by=UNDEFINED, most=UNDEFINED: _split(given, by)[_slice(0, most)],
        "replace": lambda old, new: _replaced(given, old, new, once=True),
        "replaceAll": lambda old, new: _replaced(given, old, new, once=False),
        "match": lambda by: _matches(given, by),
        "search": lambda by: _searched(given, by),
        "localeCompare": lambda other: (given > text(other)) - (given < text(other)),
    }
    return plain.get(name)


def list_method(given: Sequence[Any], name: str) -> Call | None:
    """Return a method of a list; None: there is none."""
    plain: Mapping[str, Call] = {
        "includes": lambda wanted: any(strictly_equal(each, wanted) for each in given),
        "indexOf": lambda wanted: _index(given, lambda each: strictly_equal(each, wanted)),
        "every": lambda do: all(truthy(do(each, at)) for at, each in enumerate(given)),
        "some": lambda do: any(truthy(do(each, at)) for at, each in enumerate(given)),
        "filter": lambda do: [each for at, each in enumerate(given) if truthy(do(each, at))],
        "map": lambda do: [do(each, at) for at, each in enumerate(given)],
        "find": lambda do: next(
            (each for at, each in enumerate(given) if truthy(do(each, at))), UNDEFINED
        ),
        "findIndex": lambda do: _index(given, lambda each: truthy(do(each))),
        "reduce": lambda do, *start: _reduced(given, do, start),
        "join": lambda by=",": _bounded(
            text(by).join("" if each in (None, UNDEFINED) else text(each) for each in given)
        ),
        "slice": lambda start=0, end=UNDEFINED: list(given[_slice(start, end)]),
        "concat": lambda *more: [*given, *(e for m in more for e in _spread(m))],
        "at": lambda at=0: _item(given, at),
        "flat": lambda: [e for each in given for e in _spread(each)],
        "toString": lambda: text(given),
    }
    return plain.get(name)


def global_function(name: str) -> Call | None:
    """Return a function by its whole name, such as `JSON.parse`; None: there is none."""
    plain: Mapping[str, Call] = {
        "JSON.parse": lambda value: parse(text(value)),
        "JSON.stringify": lambda value, _=None, indent=None: stringify(value, indent),
        "Math.abs": lambda value: abs(number_of(value)),
        "Math.ceil": lambda value: math.ceil(number_of(value)),
        "Math.floor": lambda value: math.floor(number_of(value)),
        "Math.max": lambda *values: max(map(number_of, values), default=-math.inf),
        "Math.min": lambda *values: min(map(number_of, values), default=math.inf),
        "Math.round": lambda value: math.floor(number_of(value) + 0.5),
        "Math.sqrt": lambda value: math.sqrt(number_of(value)),
        "Array.isArray": lambda value: isinstance(value, list | tuple),
        "Object.keys": lambda value: list(_object(value)),
        "Object.values": lambda value: list(_object(value).values()),
        "Object.entries": lambda value: [[k, v] for k, v in _object(value).items()],
        "Number": lambda value=0: number_of(value),
        "Number.isInteger": lambda value: (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and float(value).is_integer()
        ),
        "String": lambda value="": text(value),
        "Boolean": lambda value=UNDEFINED: truthy(value),
        "isNaN": lambda value: math.isnan(number_of(value)),
        "parseInt": lambda value, _=10: _parsed(text(value), whole=True),
        "parseFloat": lambda value: _parsed(text(value), whole=False),
        "Number.parseInt": lambda value, _=10: _parsed(text(value), whole=True),
        "Number.parseFloat": lambda value: _parsed(text(value), whole=False),
    }
    return plain.get(name)


def pattern_of(literal: str) -> tuple[Any, bool]:
    """Return the compiled pattern of `/.../flags`, and whether it is global."""
    body, _, flags = literal[1:].rpartition("/")
    return compiled(body, any_case="i" in flags), "g" in flags


def _matches(given: str, by: Any) -> Any:
    if isinstance(by, str):
        raise TypeError("`match` takes a pattern such as /a+/ here")
    pattern, every = by
    if not every:
        found = pattern.search(given)
        return None if found is None else [found.group(0), *found.groups()]
    return [found.group(0) for found in pattern.finditer(given)] or None


def _searched(given: str, by: Any) -> int:
    found = by[0].search(given)
    return -1 if found is None else found.start()


def _split(given: str, by: Any) -> list[str]:
    if by is UNDEFINED:
        return [given]
    if isinstance(by, tuple):
        parts, at = [], 0
        for found in by[0].finditer(given):
            if found.end() > found.start():
                parts.append(given[at : found.start()])
                at = found.end()
        return [*parts, given[at:]]
    return list(given) if by == "" else given.split(text(by))


def _replaced(given: str, old: Any, new: Any, *, once: bool) -> str:
    if isinstance(old, tuple):
        pattern, every = old
        plain = text(new).replace("\\", r"\\")
        return _bounded(pattern.sub(plain, given, count=0 if every else 1))
    return _bounded(given.replace(text(old), text(new), 1 if once else -1))


def _reduced(given: Sequence[Any], do: Call, start: Sequence[Any]) -> Any:
    items = list(given)
    if not start and not items:
        raise TypeError("`reduce` of an empty list without a start")
    value = start[0] if start else items.pop(0)
    for each in items:
        value = do(value, each)
    return value


def _parsed(given: str, *, whole: bool) -> float:
    kept = ""
    for character in trim(given):
        if (
            character.isdecimal()
            or (character in "+-" and not kept)
            or (character == "." and not whole and "." not in kept)
        ):
            kept += character
        else:
            break
    if not any(character.isdecimal() for character in kept):
        return math.nan
    return int(kept) if whole else float(kept)


def _at(value: Any) -> int:
    found = number_of(value)
    return max(0, int(found)) if math.isfinite(found) else 0


def _slice(start: Any, end: Any) -> slice:
    last = None if end is UNDEFINED else int(number_of(end))
    return slice(int(number_of(start)), last)


def _substring(given: str, start: Any, end: Any) -> str:
    first, last = sorted((_at(start), len(given) if end is UNDEFINED else _at(end)))
    return given[first:last]


def _item(given: Sequence[Any], at: Any) -> Any:
    place = int(number_of(at))
    return given[place] if -len(given) <= place < len(given) else UNDEFINED


def _index(given: Sequence[Any], holds: Callable[[Any], bool]) -> int:
    return next((at for at, each in enumerate(given) if holds(each)), -1)


def _spread(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, list):
        return {str(at): each for at, each in enumerate(value)}
    if not isinstance(value, Mapping):
        raise TypeError("not an object")
    return value


def _repeated(given: str, count: Any) -> str:
    if len(given) * _at(count) > MAX_LENGTH:
        raise ValueError("a text grows too long")
    return given * _at(count)


def _bounded(given: str) -> str:
    if len(given) > MAX_LENGTH:
        raise ValueError("a text grows too long")
    return given
