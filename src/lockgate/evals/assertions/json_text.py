"""`is-json` and `contains-json`, with a JSON Schema of draft 7 or without."""

from collections.abc import Iterator, Mapping, Sequence

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, verdict
from lockgate.evals.assertions.json_schema import SchemaRefused, violations
from lockgate.evals.javascript import parse, text_output
from lockgate.evals.yaml_document import plain

MAX_EMBEDDED = 100_000
"""Characters of one JSON text inside an output, as in promptfoo."""
_MAX_LOOKED_AT = 1_000_000
"""Characters that are looked at in all: braces that never close would cost the square of them."""


def is_json(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for JSON, and for JSON that a schema admits where `value` is one."""
    try:
        value = parse(text_output(output))
    except ValueError:
        return verdict(assertion.inverse, "expected output to be valid JSON")
    schema = _schema(assertion)
    if schema is None:
        return verdict(not assertion.inverse, "expected output not to be JSON")
    problems = _violations(assertion, schema, value)
    if assertion.inverse:
        return verdict(bool(problems), "the output is JSON that the schema admits")
    return verdict(not problems, f"JSON does not conform to the schema: {'; '.join(problems)}")


def contains_json(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for a JSON object, and for one that a schema admits where `value` is one."""
    schema = _schema(assertion)
    problems: Sequence[str] = ()
    found = False
    for value in embedded_objects(text_output(output)):
        if schema is None:
            return verdict(not assertion.inverse, "expected output not to contain JSON")
        found = True
        problems = _violations(assertion, schema, value)
        if not problems:
            return verdict(not assertion.inverse, "the output contains JSON that the schema admits")
    if not found:
        return verdict(assertion.inverse, "expected output to contain valid JSON")
    return verdict(assertion.inverse, f"JSON does not conform to the schema: {'; '.join(problems)}")


def embedded_objects(text: str) -> Iterator[Json]:
    """Yield the objects in braces inside `text`, read as JSON or as YAML's flow style.

    Each brace closes at its partner by count; a text that ends too early gets what is missing.
    """
    at = looked_at = 0
    while (at := text.find("{", at)) >= 0 and looked_at < _MAX_LOOKED_AT:
        end, missing = _closing(text, at)
        looked_at += end - at
        value = _relaxed(text[at:end] + "}" * missing)
        if value is None:
            at += 1
        else:
            yield value
            at = end


def _closing(text: str, start: int) -> tuple[int, int]:
    """Return the end of the braces that open at `start`, and how many are not closed by then."""
    depth = 0
    limit = min(start + MAX_EMBEDDED, len(text))
    at = start
    while at < limit:
        opening, closing = text.find("{", at, limit), text.find("}", at, limit)
        if closing < 0 and opening < 0:
            break
        if closing < 0 or -1 < opening < closing:
            depth, at = depth + 1, opening + 1
        else:
            depth, at = depth - 1, closing + 1
        if depth == 0:
            return at, 0
    return limit, depth


def _relaxed(text: str) -> Json:
    """Return the object that a text in braces is; None if it is none."""
    try:
        value = parse(text)
    except ValueError:
        try:
            value = plain(text, equal_keys=True)
        except InvalidConfig:
            return None
    return value if isinstance(value, Mapping | list) else None


def _schema(assertion: Assertion) -> Json:
    """Return the schema; None if none is asked for."""
    value = assertion.value
    if not value:
        return None
    if isinstance(value, str):
        try:
            value = plain(value)
        except InvalidConfig as error:
            raise invalid(assertion, f"has a schema that is not YAML: {error.message}") from None
    if not isinstance(value, Mapping | bool):
        raise invalid(assertion, "must have a JSON Schema as its value")
    return value


def _violations(assertion: Assertion, schema: Json, value: Json) -> Sequence[str]:
    try:
        return violations(schema, value)
    except SchemaRefused as error:
        raise invalid(assertion, f"has a schema that is not valid: {error}") from None
