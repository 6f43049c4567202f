import pytest

from lockgate.checks.schema import MAX_PROBLEMS, JsonSchemaValidator
from lockgate.domain.digest import JsonObject
from lockgate.errors import InvalidConfig

SCHEMA: JsonObject = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "tags": {"items": {"type": "integer"}}},
}
VALIDATOR = JsonSchemaValidator()


def test_a_valid_value_has_no_problems() -> None:
    assert VALIDATOR.problems(SCHEMA, {"name": "x", "tags": [1]}) == []


def test_every_problem_is_named_with_its_path() -> None:
    problems = VALIDATOR.problems(SCHEMA, {"name": 1, "tags": [1, "two"]})

    assert [p.split(":")[0] for p in problems] == ["name", "tags[1]"]


def test_problems_are_bounded_in_number() -> None:
    problems = VALIDATOR.problems(SCHEMA, {"name": "x", "tags": ["no"] * 5000})

    assert len(problems) == MAX_PROBLEMS


@pytest.mark.parametrize("schema", [{"type": 1}, {"$ref": "https://example.org/other.json"}])
def test_a_schema_that_is_invalid_or_refers_elsewhere_is_refused(schema: dict[str, object]) -> None:
    with pytest.raises(InvalidConfig, match="not valid"):
        JsonSchemaValidator().problems(schema, {})  # type: ignore[arg-type]
