import pytest

from lockgate.checks.schema import MAX_PROBLEMS, JsonSchemaValidator
from lockgate.domain.digest import JsonObject
from lockgate.errors import InvalidConfig
from lockgate.ports import SchemaValidator

SCHEMA: JsonObject = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "tags": {"items": {"type": "integer"}}},
}
VALIDATOR: SchemaValidator = JsonSchemaValidator()


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


def test_a_schema_that_refers_to_itself_without_end_is_harmless() -> None:
    assert VALIDATOR.problems({"$ref": "#"}, {}) == []


def test_a_pattern_is_matched_in_linear_time() -> None:
    assert len(VALIDATOR.problems({"pattern": "^(a+)+$"}, "a" * 50_000 + "b")) == 1


def test_a_long_value_is_not_repeated_in_full() -> None:
    [problem] = VALIDATOR.problems({"type": "integer"}, "x" * 100_000)

    assert len(problem) < 400


def test_text_that_has_no_utf8_is_a_problem_and_not_a_crash() -> None:
    [problem] = VALIDATOR.problems({"type": "string"}, "\ud800")

    assert "cannot be validated" in problem


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: JsonObject = {}
    for _ in range(2000):
        schema = {"items": schema}

    with pytest.raises(InvalidConfig, match="nested"):
        VALIDATOR.problems(schema, [])


def test_a_schema_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    validator = JsonSchemaValidator()
    validator.problems(SCHEMA, {})
    monkeypatch.delattr("jsonschema_rs.Draft202012Validator")

    assert len(validator.problems(dict(SCHEMA), {})) == 1
