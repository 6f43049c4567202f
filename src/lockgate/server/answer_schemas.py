"""JSON Schemas that clients send for answers, held to what a grammar can be made of safely.

Whoever makes a grammar of a schema unrolls its counts: `{"minLength": 1000000000}` took all memory
of the machine, and the process with it. So counts, sizes and patterns have bounds here, and nothing
in a schema may be an address.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from lockgate.errors import InvalidInput

MAX_NODES: Final = 2_000
MAX_COUNT: Final = 1_000
"""Of characters, items or members that a schema asks for; nested ones are multiplied."""
MAX_PATTERN: Final = 200
"""Characters of one pattern."""
MAX_PATTERNS: Final = 20
_COUNTS: Final = frozenset(
    {
        *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        *("minContains", "maxContains"),
    }
)
_REPEATED: Final = re.compile(r"[0-9]+")


def check_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema.

    Raises:
        InvalidInput: it is too large, counts too far, or refers to something outside itself.

    """
    patterns = 0
    for number, (_, value) in enumerate(_nodes(schema)):
        if number >= MAX_NODES:
            raise InvalidInput(f"the schema has more than {MAX_NODES} parts")
        if not isinstance(value, dict):
            continue
        _check_references(value)
        patterns += len(_patterns(value))
        if patterns > MAX_PATTERNS:
            raise InvalidInput(f"the schema has more than {MAX_PATTERNS} patterns")
    _check_counts(schema, 1)
    return schema


def _nodes(schema: Any) -> Iterator[tuple[str, Any]]:
    waiting = [("", schema)]
    while waiting:
        name, value = waiting.pop()
        yield name, value
        if isinstance(value, dict):
            waiting.extend(value.items())
        elif isinstance(value, list):
            waiting.extend((name, item) for item in value)


def _check_references(value: dict[str, Any]) -> None:
    for name, inner in value.items():
        if name.startswith(("x-", "%")):
            raise InvalidInput(f"the schema has the member `{name[:40]}`, which is no schema's")
        outside = name in {"$ref", "$dynamicRef"} and not str(inner).startswith("#")
        if outside and isinstance(inner, str):
            raise InvalidInput(
                f"the schema refers to `{inner[:80]}`, and nothing is fetched from here",
                hint="put it into `$defs`",
            )


def _check_counts(value: Any, around: float) -> None:
    """Multiply the counts of what is nested: a thousand lists of a thousand are a million."""
    if isinstance(value, list):
        for item in value:
            _check_counts(item, around)
        return
    if not isinstance(value, dict):
        return
    here = [n for name, n in value.items() if name in _COUNTS and isinstance(n, int | float)]
    here += [_repeats(pattern) for pattern in _patterns(value)]
    product = around * max([1, *here])
    if product > MAX_COUNT:
        raise InvalidInput(f"the schema counts to {product:.0f}, the most is {MAX_COUNT}")
    for inner in value.values():
        _check_counts(inner, product)


def _patterns(value: dict[str, Any]) -> list[str]:
    own, members = value.get("pattern"), value.get("patternProperties")
    return [
        *([own] if isinstance(own, str) else ()),
        *(members if isinstance(members, dict) else ()),
    ]


def _repeats(pattern: str) -> int:
    """Return how often a pattern may repeat a part of itself, at most."""
    if len(pattern) > MAX_PATTERN:
        raise InvalidInput(f"a pattern of the schema is longer than {MAX_PATTERN} characters")
    product = 1
    for part in pattern.split("{")[1:]:
        for digits in _REPEATED.findall(part.partition("}")[0])[-1:]:
            product *= max(1, int(digits[:6]))
    return product
