"""Validates values against JSON Schemas, with no network and a bounded number of problems."""

from itertools import islice
from typing import TYPE_CHECKING, Any

from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.errors import InvalidConfig

if TYPE_CHECKING:
    import jsonschema_rs

MAX_PROBLEMS = 100
MAX_MESSAGE = 300


class JsonSchemaValidator:
    """Implements `ports.SchemaValidator` with draft 2020-12. Keeps each schema compiled."""

    def __init__(self) -> None:
        self._compiled: dict[Digest, jsonschema_rs.Draft202012Validator] = {}

    def problems(self, schema: JsonObject, value: Json) -> list[str]:
        """Return one sentence a violation.

        Raises:
            InvalidConfig: the schema itself is not valid, or refers to another document.

        """
        validator = self._validator(schema)
        try:
            if validator.is_valid(value):
                return []
            return [
                f"{_path(error.instance_path)}: {error.message[:MAX_MESSAGE]}"
                for error in islice(validator.iter_errors(value), MAX_PROBLEMS)
            ]
        except ValueError as error:  # nested too deeply, or a lone surrogate
            return [f".: cannot be validated: {error}"]

    def _validator(self, schema: JsonObject) -> "jsonschema_rs.Draft202012Validator":
        import jsonschema_rs  # noqa: PLC0415  a run with no schema to check never needs it

        try:
            digest = Digest.of_json(schema)
        except RecursionError:
            raise InvalidConfig("a JSON Schema is nested too deeply") from None
        found = self._compiled.get(digest)
        if found is None:
            try:
                found = jsonschema_rs.Draft202012Validator(
                    dict(schema),
                    retriever=_refuse,
                    pattern_options=jsonschema_rs.RegexOptions(),  # linear-time matching
                )
            except (jsonschema_rs.ReferencingError, ValueError) as error:
                # ValidationError is a ValueError too; its text goes on with a dump of the schema.
                reason = str(error).partition("\n")[0][:MAX_MESSAGE]
                raise InvalidConfig(f"a JSON Schema is not valid: {reason}") from error
            self._compiled[digest] = found
        return found


def _refuse(uri: str) -> Any:
    raise ValueError(f"`{uri}` is another document: schemas must be self-contained")


def _path(parts: list[str | int]) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts).lstrip(".") or "."
