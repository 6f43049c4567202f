"""`$ref: '#/assertionTemplates/x'`: parts of a suite that stand elsewhere in it."""

from collections.abc import Mapping

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig
from lockgate.evals.yaml_document import MAX_DEPTH, MAX_NODES

_REFERENCE = "$ref"


def dereferenced(value: Json, name: str) -> Json:
    """Return a document with its references to itself (RFC 6901) replaced by what they mean.

    One that leads nowhere stays: JSON Schemas have references of their own.

    Raises:
        InvalidConfig: references go round in a circle, or the document grows too large.

    """
    return _Following(value, name).follow(value, 0) if _refers(value) else value


def _refers(value: Json) -> bool:
    if isinstance(value, Mapping):
        return _REFERENCE in value or any(map(_refers, value.values()))
    return isinstance(value, list) and any(map(_refers, value))


class _Following:
    def __init__(self, whole: Json, name: str) -> None:
        self._whole = whole
        self._name = name
        self._nodes = 0

    def follow(self, value: Json, depth: int) -> Json:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise InvalidConfig(f"`{self._name}`: a `$ref` goes round in a circle")
        if isinstance(value, list):
            for at, item in enumerate(value):
                value[at] = self.follow(item, depth + 1)
            return value
        if not isinstance(value, dict):
            return value
        pointer = value.get(_REFERENCE)
        if isinstance(pointer, str) and pointer.startswith("#/"):
            found, target = self._find(pointer)
            return self.follow(target, depth + 1) if found else value
        for key, item in value.items():
            value[key] = self.follow(item, depth + 1)
        return value

    def _find(self, pointer: str) -> tuple[bool, Json]:
        current = self._whole
        for part in pointer[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(current, Mapping) and key in current:
                current = current[key]
            elif isinstance(current, list) and key.isdecimal() and int(key) < len(current):
                current = current[int(key)]
            else:
                return False, None
        return True, current
