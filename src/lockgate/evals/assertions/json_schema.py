"""JSON Schema draft 7, as strict as Ajv's default: an unknown keyword or format is an error."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs

from lockgate.domain.digest import Json
from lockgate.evals.javascript import stringify

MAX_VIOLATIONS = 20
MAX_MESSAGE = 300
_DRAFT_7 = frozenset(
    {"http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-07/schema#"}
)
_KEYWORDS = frozenset(
    "$id $schema $ref $comment $defs title description default readOnly writeOnly examples "
    "multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern "
    "additionalItems items maxItems minItems uniqueItems contains maxProperties minProperties "
    "required additionalProperties definitions properties patternProperties dependencies "
    "propertyNames const enum type format contentMediaType contentEncoding if then else allOf "
    "anyOf oneOf not nullable discriminator id formatMinimum formatMaximum "
    "formatExclusiveMinimum formatExclusiveMaximum".split()
) - {"id"}
_SCHEMAS_BY_NAME = frozenset(
    {"properties", "patternProperties", "definitions", "$defs", "dependencies"}
)
_SCHEMAS = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "propertyNames",
        "if",
        "then",
        "else",
        "not",
    }
)
_LISTS = frozenset({"allOf", "anyOf", "oneOf"})
_FORMATS = frozenset(
    "date time date-time iso-time iso-date-time duration uri uri-reference uri-template url email "
    "hostname ipv4 ipv6 regex uuid json-pointer json-pointer-uri-fragment "
    "relative-json-pointer byte int32 int64 float double password binary".split()
)


class SchemaRefused(ValueError):
    """A schema that is not valid, or that needs what is not here."""


def violations(schema: Json, value: Json) -> Sequence[str]:
    """Return a sentence a violation; none if the schema admits `value`.

    Raises:
        SchemaRefused: the schema is not valid.

    """
    validator = _compiled(stringify(schema))
    try:
        if validator.is_valid(value):
            return ()
        return [
            f"{'/'.join(map(str, error.instance_path)) or '.'}: {error.message[:MAX_MESSAGE]}"
            for error in islice(validator.iter_errors(value), MAX_VIOLATIONS)
        ]
    except ValueError as error:
        return [f"cannot be validated: {error}"]


@lru_cache(maxsize=256)
def _compiled(text: str) -> Any:
    schema = json.loads(text)
    _check(schema, 0)
    try:
        return jsonschema_rs.Draft7Validator(
            schema,
            validate_formats=True,
            retriever=_refuse,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except ValueError as error:
        raise SchemaRefused(str(error).splitlines()[0][:MAX_MESSAGE]) from None


def _refuse(uri: str) -> Any:
    raise ValueError(f"`{uri}` is another document")


_DEEPEST = 100


def _check(schema: Json, depth: int) -> None:
    """Refuse keywords and formats that no validator knows: they are typing errors."""
    if not isinstance(schema, Mapping):
        return
    if depth > _DEEPEST:
        raise SchemaRefused("nested too deeply")
    for name, part in schema.items():
        _check_keyword(name, part)
        for each in _inner(name, part):
            _check(each, depth + 1)


def _check_keyword(name: str, value: Json) -> None:
    if name not in _KEYWORDS:
        raise SchemaRefused(f"unknown keyword `{name}`")
    if name == "format" and value not in _FORMATS:
        raise SchemaRefused(f"unknown format `{value}`")
    if name == "$schema" and value not in _DRAFT_7:
        raise SchemaRefused(f"`$schema` is `{value}`, not draft 7")


def _inner(name: str, value: Json) -> Sequence[Json]:
    """Return the schemas that a keyword holds."""
    if name in _SCHEMAS:
        return [value]
    if name in _SCHEMAS_BY_NAME and isinstance(value, Mapping):
        return list(value.values())
    if name in _LISTS or name == "items":
        return value if isinstance(value, list) else [value]
    return ()
