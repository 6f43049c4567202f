"""The API's document (OpenAPI 3.1), made from the route table."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lockgate import __version__
from lockgate.server.route import Route
from lockgate.server.routes import ERROR

_VARYING = re.compile(r"\{([a-z]+)\}")
_SEGMENT = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"}
_PUBLIC_FAILURES = {"400": "The request is not valid", "default": "It failed"}
_FAILURES = {
    **_PUBLIC_FAILURES,
    "401": "No key, or not one that is known",
    "403": "The key may not do this",
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document."""
    components: dict[str, Any] = {"Error": ERROR}
    found: dict[str, dict[str, Any]] = {}
    for route in routes:
        found.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lockgate gateway", "version": __version__},
        "paths": found,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name.replace(":", "_").replace("-", "_"),
        "summary": route.summary,
        "parameters": [
            *(
                _parameter("path", name, {"type": "string"})
                for name in _VARYING.findall(route.path)
            ),
            *(
                _parameter("query", name, schema, required=name in route.needed)
                for name, schema in route.query.items()
            ),
            *(_parameter("header", name, schema) for name, schema in route.headers.items()),
        ],
        "responses": _responses(route, components),
    }
    if route.role is not None:
        operation["security"] = [{"key": []}]
        operation["x-role"] = route.role
    if route.scope is not None:
        operation["x-scope"] = route.scope
    if route.media_type is not None:
        operation["requestBody"] = {
            # No text is a text, too: an empty diff is no change.
            "required": route.media_type != "text/plain",
            "content": {route.media_type: {"schema": _flat(route.body, components)}},
        }
    return operation


def _flat(schema: Any, components: dict[str, Any]) -> Any:
    """Return a schema whose parts are among the components of the document."""
    if not (isinstance(schema, Mapping) and "components" in schema):
        return schema
    components.update(schema["components"])
    return schema["schema"]


def _parameter(place: str, name: str, schema: Any, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": place, "required": required or place == "path", "schema": schema}


def _responses(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for answer in route.answers:
        response = found.setdefault(
            str(answer.status), {"description": answer.description, "content": {}}
        )
        schema = _flat(answer.schema, components)
        media: dict[str, Any] = {} if schema is None else {"schema": schema}
        response["content"][answer.media_type] = media
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for status, text in (_FAILURES if route.role else _PUBLIC_FAILURES).items():
        found.setdefault(status, {"description": text, "content": error})
    return found
