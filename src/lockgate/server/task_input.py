"""The input of a task as a request has it: JSON, or the one text that a task takes."""

import asyncio
from urllib.parse import parse_qs

from lockgate.domain.digest import JsonObject
from lockgate.errors import InvalidInput
from lockgate.ports import Task
from lockgate.server import strict
from lockgate.server.exchange import Exchange
from lockgate.server.failures import HttpFailure

JSON_TYPES = frozenset({b"application/json", b""})
TEXT_TYPES = frozenset({b"text/plain", b"text/x-diff", b"text/x-patch"})
# What curl says of `--data-binary` when it is told nothing else.
FORM = b"application/x-www-form-urlencoded"
LARGE = 64 << 10
"""Bytes of JSON that are decoded elsewhere than on the loop."""
_MOST_FIELDS = 16


async def input_of(exchange: Exchange, task: Task, body: bytes) -> JsonObject:
    """Return the input.

    Raises:
        HttpFailure: the body is of another type than the task takes.
        InvalidInput: it is not a JSON object.

    """
    kind = exchange.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    plain = task.spec.plain
    short = exchange.route.name.startswith("short:")
    if kind in TEXT_TYPES or (short and kind in {b"", FORM}):
        if plain is None:
            raise HttpFailure(
                415, "unsupported-media-type", f"`{task.spec.name}` takes application/json"
            )
        return {plain: body.decode("utf-8", "replace")}
    if kind not in JSON_TYPES:
        raise HttpFailure(
            415, "unsupported-media-type", "the body is application/json or text/plain"
        )
    if len(body) < LARGE:
        return strict.json_object(body)
    return await asyncio.to_thread(strict.json_object, body)


def query_of(exchange: Exchange) -> dict[str, list[str]]:
    """Return the parameters of the query.

    Raises:
        InvalidInput: there are too many.

    """
    text = exchange.scope["query_string"].decode("latin-1")
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidInput(f"the query has more than {_MOST_FIELDS} fields") from None
