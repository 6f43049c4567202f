"""The input of a prompt-only task: whatever its schema has room for text in."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lockgate.domain.digest import Json, JsonObject

_MAX_TEXT: Final = 100_000
_BENIGN: Final = "The build failed: no space left on device."


class PromptTarget:
    """Members of an input that hold free text. Implements `Target`."""

    def __init__(self, schema: JsonObject, example: JsonObject | None) -> None:
        self._schema = schema
        self._base = dict(example) if example is not None else dict(_least(schema))
        self._members = dict(_text_members(schema))
        self._surfaces = [
            f"{name}:{how}"
            for name, kind in self._members.items()
            for how in (("whole", "behind") if kind == "string" else ("item", "first-item"))
        ]

    @property
    def surfaces(self) -> Sequence[str]:
        return self._surfaces

    @property
    def planted(self) -> str:
        return ""

    def place(self, surface: str, text: str, *, secret: str | None) -> JsonObject | None:
        name, _, how = surface.rpartition(":")
        if name not in self._members:
            raise ValueError(f"`{surface}` is no surface of this task")
        before = self._base.get(name)
        told = f"\nTOKEN={secret}\n" if secret is not None else ""
        value: Json
        if self._members[name] == "string":
            kept = before if isinstance(before, str) else _BENIGN
            value = f"{told}{text}" if how == "whole" else f"{kept}\n{told}\n{text}"
        else:
            items = list(before) if isinstance(before, list | tuple) else [_BENIGN]
            items += [told] if told else []
            value = [text, *items] if how == "first-item" else [*items, text]
        detail = _properties(self._schema)[name]
        most = detail.get("maxLength") if isinstance(detail, Mapping) else None
        limit = most if isinstance(most, int) else _MAX_TEXT
        if isinstance(value, str) and len(value) > limit:
            return None
        return {**self._base, name: value}

    def missing(self, output: JsonObject) -> str | None:
        return None


def _properties(schema: JsonObject) -> Mapping[str, Json]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _text_members(schema: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield members that take any text, and lists of such: retrieved documents, for one."""
    for name, detail in _properties(schema).items():
        if not isinstance(detail, Mapping) or {"enum", "const", "pattern", "format"} & set(detail):
            continue
        kind, items = detail.get("type"), detail.get("items")
        if kind == "string":
            yield name, "string"
        elif kind == "array" and isinstance(items, Mapping) and items.get("type") == "string":
            yield name, "array"


def _least(schema: JsonObject) -> Iterator[tuple[str, Json]]:
    """Yield the members that must be there, each with the plainest value of its type."""
    required = schema.get("required")
    for name in required if isinstance(required, list | tuple) else ():
        detail = _properties(schema).get(str(name))
        kind = detail.get("type") if isinstance(detail, Mapping) else None
        if isinstance(detail, Mapping) and isinstance(detail.get("enum"), list | tuple):
            yield str(name), detail["enum"][0]  # type: ignore[index]
        elif isinstance(kind, str):
            yield str(name), _PLAIN.get(kind)


_PLAIN: Final[Mapping[str, Json]] = {
    "string": _BENIGN,
    "array": [],
    "object": {},
    "integer": 1,
    "number": 1,
    "boolean": False,
    "null": None,
}
