"""YAML as promptfoo reads it: version 1.2's core schema, merge keys, one document; bounded.

Files come from a stranger's branch: size, depth, number of nodes and of aliases are limited, equal
keys are refused, and nothing but plain data is ever made. Each mapping and list knows its line.
"""

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import yaml

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig

MAX_BYTES = 32 << 20
MAX_DEPTH = 60
MAX_NODES = 2_000_000
"""Counted after aliases are followed: ten levels of ten aliases are too many."""
_MAX_INTEGER = 400

_PAIR = re.compile(
    r"((?<!\\)(?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
# YAML 1.2.2, section 10.3.2.
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)\Z")
_NAN = frozenset({".nan", ".NaN", ".NAN"})
_STRING = "tag:yaml.org,2002:str"
_PLAIN = "plain"
_RESOLVED = frozenset(
    {_PLAIN, *(f"tag:yaml.org,2002:{n}" for n in ("int", "float", "bool", "null"))}
)
_COLLECTIONS = frozenset({"tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})


class Lines(dict[int, int]):
    """The line of each mapping and list, by the identity of the object."""

    def of(self, value: object) -> int:
        """Return the line, counted from 1; 0 if `value` is not of this document."""
        return self.get(id(value), 0)


@dataclass(slots=True)
class _Reading:
    name: str
    lines: Lines
    equal_keys: bool = False
    """Whether a key may stand twice, the last one counting, as in JSON."""
    nodes: int = 0


def plain(text: str, *, equal_keys: bool = False) -> Json:
    """Return the value of a YAML text.

    Raises:
        InvalidConfig: not YAML, or beyond the bounds.

    """
    return document(text, "text", equal_keys=equal_keys)[0]


def document(text: str, name: str, *, equal_keys: bool = False) -> tuple[Json, Lines]:
    """Return the value of the file `name`, and the lines of its mappings and lists.

    Raises:
        InvalidConfig: not YAML, two documents, an equal key, or beyond the bounds; with the line.

    """
    if len(text) > MAX_BYTES:
        raise InvalidConfig(f"`{name}` is larger than {MAX_BYTES} bytes")
    lines = Lines()
    if text.lstrip()[:1] in {"{", "["}:
        # JSON writes characters beyond 16 bits as pairs of escapes; YAML 1.2 has `\U` for them.
        text = _PAIR.sub(_joined, text)
    try:
        _bound_depth(text, name)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise InvalidConfig(f"`{name}` is not YAML: {_said(error)}") from None
    if node is None:
        return None, lines
    value: Json = _value(node, 0, _Reading(name, lines, equal_keys=equal_keys))
    return value, lines


class _Loader(yaml.CSafeLoader):
    """Leaves the types of plain scalars open: PyYAML's own rules are those of YAML 1.1."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _STRING
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def _joined(found: re.Match[str]) -> str:
    high, low = int(found[2], 16), int(found[3], 16)
    return f"{found[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _bound_depth(text: str, name: str) -> None:
    """Refuse deep nesting before nodes are made: libyaml's caller recurses in C."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise InvalidConfig(f"`{name}`, line {line}: more than {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _value(node: yaml.Node, depth: int, reading: _Reading) -> Any:
    reading.nodes += 1
    if reading.nodes > MAX_NODES or depth > MAX_DEPTH:
        raise InvalidConfig(
            f"`{reading.name}`, line {_line(node)}: more than {MAX_DEPTH} levels"
            if depth > MAX_DEPTH
            else f"`{reading.name}`, line {_line(node)}: more than {MAX_NODES} values",
            hint="what an alias stands for counts each time",
        )
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, reading)
    if node.tag not in _COLLECTIONS:
        raise InvalidConfig(f"`{reading.name}`, line {_line(node)}: unknown tag `{node.tag}`")
    if isinstance(node, yaml.SequenceNode):
        items = [_value(item, depth + 1, reading) for item in node.value]
        reading.lines[id(items)] = _line(node)
        return items
    assert isinstance(node, yaml.MappingNode)
    return _mapping(node, depth, reading)


def _mapping(node: yaml.MappingNode, depth: int, reading: _Reading) -> dict[str, Any]:
    found: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if _is_merge(key_node):
            for source in reversed(_sources(value_node)):
                if not isinstance(source, yaml.MappingNode):
                    raise InvalidConfig(
                        f"`{reading.name}`, line {_line(key_node)}: `<<` takes mappings"
                    )
                merged.update(_mapping(source, depth + 1, reading))
            continue
        key = _value(key_node, depth + 1, reading)
        if not isinstance(key, Hashable) or isinstance(key_node, yaml.SequenceNode):
            raise InvalidConfig(f"`{reading.name}`, line {_line(key_node)}: a key is not a text")
        name = _key(key, key_node)
        if name in found and not reading.equal_keys:
            raise InvalidConfig(f"`{reading.name}`, line {_line(key_node)}: `{name}` stands twice")
        found[name] = _value(value_node, depth + 1, reading)
    whole = {**merged, **found} if merged else found
    reading.lines[id(whole)] = _line(node)
    return whole


def _sources(node: yaml.Node) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _is_merge(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == "<<" and node.tag == _PLAIN


def _key(key: object, node: yaml.Node) -> str:
    """Return a key as JavaScript's objects have it: always text."""
    return key if isinstance(key, str) else str(node.value)


def _scalar(node: yaml.ScalarNode, reading: _Reading) -> Any:
    text: str = node.value
    if node.tag == _STRING:
        return text
    if node.tag not in _RESOLVED:
        raise InvalidConfig(f"`{reading.name}`, line {_line(node)}: unknown tag `{node.tag}`")
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    number = _number(text)
    if number is None and len(text) > _MAX_INTEGER and _INTEGER.match(text):
        raise InvalidConfig(f"`{reading.name}`, line {_line(node)}: a number is too long")
    return text if number is None else number


def _number(text: str) -> int | float | None:
    """Return the number that a plain scalar is; None if it is none."""
    if _INTEGER.match(text):
        return int(text) if len(text) <= _MAX_INTEGER else None
    if _OCTAL.match(text):
        return int(text, 8)
    if _HEX.match(text):
        return int(text, 16)
    if _FLOAT.match(text):
        return float(text)
    if _INFINITE.match(text):
        return -math.inf if text[0] == "-" else math.inf
    return math.nan if text in _NAN else None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _said(error: yaml.YAMLError | UnicodeEncodeError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem or error.context}"
    return " ".join(str(error).split())
