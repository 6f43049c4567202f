"""Bodies and queries of the admin API, decoded into their types and nothing else."""

from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from lockgate.errors import InvalidInput
from lockgate.server import strict
from lockgate.server.exchange import JSON, Exchange
from lockgate.server.failures import HttpFailure

T = TypeVar("T", bound=msgspec.Struct)
MAX_BODY = 64 << 10
_MAX_FIELDS = 16
_SHOWN = 200
_NO_STORE = (b"cache-control", b"no-store")
_encode = msgspec.json.Encoder().encode


async def body_of(exchange: Exchange, kind: type[T]) -> T:
    """Return the body.

    Raises:
        HttpFailure: it is too long, or something else than JSON.
        InvalidInput: it does not fit.

    """
    kind_sent = exchange.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind_sent != JSON[1]:
        came = kind_sent[:_SHOWN].decode("latin-1") or "without a type"
        raise HttpFailure(
            415,
            "unsupported-media-type",
            f"the body came as `{came}`: send `Content-Type: application/json`",
        )
    found = strict.json_object(await exchange.body(MAX_BODY))
    try:
        return msgspec.convert({name: _whole(value) for name, value in found.items()}, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the body does not fit: {str(error)[:_SHOWN]}") from error


def query_of(exchange: Exchange, kind: type[T]) -> T:
    """Return the query's parameters.

    Raises:
        InvalidInput: one is not known, is there twice, or does not fit.

    """
    try:
        pairs = parse_qsl(
            exchange.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
        found = dict(pairs)
        if "null" in {text.lower() for text in found.values()}:
            raise InvalidInput("the query has `null` for a value", hint="leave it out")
        value = msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the query does not fit: {str(error)[:_SHOWN]}") from error
    except ValueError as error:
        raise InvalidInput(f"the query is malformed: {str(error)[:_SHOWN]}") from error
    if len(found) != len(pairs):
        raise InvalidInput("the query has a parameter twice")
    return value


def _whole(value: Any) -> Any:
    """Return 5 for 5.0, which JSON Schema says is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def respond(exchange: Exchange, answer: msgspec.Struct, *, status: int = 200) -> None:
    """Send an answer that nobody on the way may keep."""
    exchange.extra.append(_NO_STORE)
    await exchange.respond(_encode(answer), status=status)
