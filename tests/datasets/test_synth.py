import json

import pytest

from lockgate.checks.schema import JsonSchemaValidator
from lockgate.datasets.shapes import like
from lockgate.datasets.synth import from_schema
from lockgate.domain.digest import JsonObject
from lockgate.errors import InvalidInput
from lockgate.tasks.review.schema import INPUT

WIDE: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "kind", "parts"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "kind": {"enum": ["a", "b", None]},
        "text": {"type": "string", "minLength": 5, "maxLength": 9},
        "score": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "count": {"type": "integer", "minimum": 3, "maximum": 12, "multipleOf": 3},
        "odd": {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6},
        "day": {"type": "string", "format": "date"},
        "parts": {
            "type": "array",
            "minItems": 1,
            "maxItems": 3,
            "items": {"anyOf": [{"type": "boolean"}, {"const": 7}]},
        },
        "maybe": {"type": ["null", "boolean"]},
    },
}


@pytest.mark.parametrize("schema", [WIDE, INPUT])
def test_what_is_made_matches_the_schema(schema: JsonObject) -> None:
    validator = JsonSchemaValidator()
    for row in from_schema(schema, 200, seed=1):
        assert validator.problems(schema, row) == []


def test_the_same_seed_makes_the_same_rows_and_more_rows_begin_the_same() -> None:
    rows = from_schema(WIDE, 20, seed=1)
    assert rows == from_schema(WIDE, 30, seed=1)[:20]
    assert rows != from_schema(WIDE, 20, seed=2)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "array"}, "describes a list"),
        ({"properties": {"a": {"$ref": "#/x"}}, "required": ["a"]}, "`\\$ref` of a schema"),
        ({"properties": {"a": {"pattern": "x"}}, "required": ["a"]}, "`pattern` of a schema"),
    ],
)
def test_a_schema_that_is_not_followed_is_refused(schema: JsonObject, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        from_schema(schema, 5, seed=1)


def test_a_schema_that_goes_down_forever_ends() -> None:
    schema: JsonObject = {"type": "object", "required": ["a"], "properties": {"a": {}}}
    deep = schema
    for _ in range(40):
        deep = {"type": "object", "required": ["a"], "properties": {"a": deep}}
    assert from_schema(deep, 1, seed=1)


ROWS: list[JsonObject] = [
    {
        "ticket": f"ERR-{1000 + n}x",
        "kind": "disk" if n % 3 else "network",
        "size": 10 + n,
        "share": n / 100,
        "who": f"Secret Person number {n}",
        "tags": ["t"] * (1 + n % 3),
        **({"note": None} if n % 4 == 0 else {}),
    }
    for n in range(100)
]


def test_shapes_are_kept_and_nobodys_text_is() -> None:
    made = like(ROWS, 300, seed=1)
    assert made == like(ROWS, 300, seed=1) != like(ROWS, 300, seed=2)
    everything = json.dumps(made)
    assert "Secret" not in everything
    assert "Person" not in everything
    for row in made:
        ticket = str(row["ticket"])
        assert (ticket[3], ticket[4:8].isdigit(), len(ticket)) == ("-", True, 9)
        assert row["kind"] in {"disk", "network"}
        assert isinstance(row["size"], int)
        assert 10 <= row["size"] <= 109
        assert 1 <= len(row["tags"]) <= 3  # type: ignore[arg-type]
    assert not {str(row["ticket"]) for row in made} <= {str(row["ticket"]) for row in ROWS}
    kinds = sum(row["kind"] == "disk" for row in made) / len(made)
    assert 0.55 < kinds < 0.77
    notes = sum("note" in row for row in made) / len(made)
    assert 0.15 < notes < 0.35


def test_values_that_few_rows_share_are_no_categories() -> None:
    rows: list[JsonObject] = [{"name": f"Person {n}"} for n in range(6)]
    assert not {str(r["name"]) for r in rows} & {str(r["name"]) for r in like(rows, 50, seed=1)}


def test_nothing_is_learnt_from_nothing() -> None:
    with pytest.raises(InvalidInput, match="no rows to learn"):
        like([], 5, seed=1)
