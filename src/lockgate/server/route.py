"""A route: what it matches and what it asks of its caller. The table of them is data."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lockgate.domain.digest import Json

Handler: TypeAlias = Callable[[Any], Awaitable[None]]
"""Takes the `Exchange`, which knows its route."""

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a route answers: a status and the JSON Schema of its body, for the API's document."""

    status: int
    description: str
    schema: Json = None
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the table. The caller is judged by what stands here, on the matched row."""

    name: str
    method: str
    path: str
    """With `{name}` for a segment that varies."""
    handler: Handler
    summary: str
    role: str | None = None
    """The role that the caller must hold; None: whoever is there, proven or not."""
    near: bool = False
    """Only for whoever is on this machine."""
    scope: str | None = None
    """The kind of scope, `task` or `model`, that the handler asks for by name."""
    media_type: str | None = None
    """Of the request's body; None: it has none."""
    body: Json = None
    """JSON Schema of the request's body."""
    answers: Sequence[Answers] = ()
    query: Mapping[str, Json] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    """Parameters of the query that must be there."""
    headers: Mapping[str, Json] = field(default_factory=dict)


class Table:
    """Finds the route of a request by what was sent, byte for byte: nothing is normalised.

    A path with a percent sign, a doubled slash or a dot segment is no route's path, so there are
    no two spellings that one part of the gateway could read differently from another.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._fixed: dict[str, dict[str, Route]] = {}
        self._varying: list[tuple[tuple[str, ...], dict[str, Route]]] = []
        for route in routes:
            if "{" not in route.path:
                self._fixed.setdefault(route.path, {})[route.method] = route
                continue
            parts = tuple(route.path.split("/"))
            known = next((methods for pattern, methods in self._varying if pattern == parts), None)
            if known is None:
                self._varying.append((parts, {route.method: route}))
            else:
                known[route.method] = route

    def find(self, path: str) -> tuple[Mapping[str, Route], Mapping[str, str]] | None:
        """Return the routes at a path by method, and the segments that vary; None: no route."""
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, _NONE
        parts = path.split("/")
        for pattern, methods in self._varying:
            values = _match(pattern, parts)
            if values is not None:
                return methods, values
        return None


_NONE: Mapping[str, str] = {}


def _match(pattern: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    values: dict[str, str] = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not _SEGMENT.fullmatch(part):
                return None
            values[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return values
