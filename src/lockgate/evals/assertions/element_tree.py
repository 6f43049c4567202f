"""Elements as the objects that promptfoo looks paths up in (fast-xml-parser's shape).

An element is its text, or an object: children by name, a list where a name repeats, `#text` for the
text between children, `@_name` for attributes.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Value: TypeAlias = "str | dict[str, Value] | list[Value]"
MAX_DEPTH = 500


class TooDeep(ValueError):
    """More levels than anyone writes."""


class Tree:
    """Builds the object from starts, ends and text."""

    def __init__(self) -> None:
        self._stack: list[tuple[str, dict[str, Value]]] = [("", {})]
        self._texts: list[list[str]] = [[]]

    def start(self, name: str, attributes: Sequence[str]) -> None:
        if len(self._stack) > MAX_DEPTH:
            raise TooDeep(f"more than {MAX_DEPTH} levels")
        self._stack.append((name, {f"@_{attribute}": "" for attribute in attributes}))
        self._texts.append([])

    def text(self, data: str) -> None:
        if data.strip():
            self._texts[-1].append(data)

    def end(self) -> None:
        if len(self._stack) == 1:
            return
        name, content = self._stack.pop()
        words = "".join(self._texts.pop())
        if content and words:
            content["#text"] = words
        self._add(name, content or words)

    def instruction(self, name: str) -> None:
        self._add(f"?{name}", {"#text": ""})

    def whole(self) -> Value:
        while len(self._stack) > 1:
            self.end()
        return self._stack[0][1]

    def _add(self, name: str, value: Value) -> None:
        parent = self._stack[-1][1]
        before = parent.get(name)
        if before is None:
            parent[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            parent[name] = [before, value]


def has_path(tree: Value, path: str) -> bool:
    """Say whether `a.b.0.c` leads to something: names into objects, numbers into lists."""
    current: object = tree
    for key in path.split("."):
        if isinstance(current, Mapping):
            if key not in current:
                return False
            current = current[key]
        elif isinstance(current, list):
            if not key.isdecimal() or str(int(key)) != key or int(key) >= len(current):
                return False
            current = current[int(key)]
        else:
            return False
    return True
