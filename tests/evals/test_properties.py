"""`property` and `metamorphic`: counter-examples are found, small, and the same each time."""

import json
from collections.abc import Mapping
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput, Unavailable
from lockgate.evals.asking.strategies import from_schema
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case
from lockgate.evals.results import Result

from .bench import Answer, load, run

SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "x": {"type": "string", "maxLength": 20},
        "n": {"type": "integer", "minimum": 0, "maximum": 1000},
        "kind": {"enum": ["a", "b"]},
        "tags": {"type": "array", "items": {"type": ["string", "null"]}, "maxItems": 3},
        "more": {"anyOf": [{"type": "boolean"}, {"type": "number"}, {"const": 7}]},
    },
    "required": ["x", "n"],
}


def graded(folder: Path, assertion: Mapping[str, Json], respond: Answer, x: str = "a b") -> Result:
    test = {"vars": {"x": x}, "assert": [assertion]}
    suite = load(folder, f"prompts: ['{{{{x}}}}']\nproviders: [echo]\ntests: [{json.dumps(test)}]")
    (folder / "results.jsonl").unlink(missing_ok=True)
    return run(suite, respond)[1][0]


def prop(*holds: Json, **more: Json) -> dict[str, Json]:
    return {"type": "property", "schema": SCHEMA, "assert": list(holds), **more}


async def number(case: Case) -> Response:
    return Response(output=f"n={case.variables.get('n')}")


async def breaks_at_100(case: Case) -> Response:
    n = case.variables.get("n", 0)
    assert isinstance(n, int)
    return Response(output="fine" if n < 100 else "broken")


@given(from_schema(SCHEMA))
def test_drawn_inputs_match_their_schema(value: Json) -> None:
    assert jsonschema_rs.is_valid(SCHEMA, value)


@given(st.data())
def test_a_schema_that_is_not_generated_is_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["$ref", "allOf", "not"]))

    with pytest.raises(InvalidInput, match="no inputs are generated"):
        from_schema({"type": "object", "properties": {"x": {name: {}}}})


def test_a_property_that_holds_passes(tmp_path: Path) -> None:
    found = graded(tmp_path, prop({"type": "starts-with", "value": "n="}, examples=30), number)

    assert found.outcome == "passed"
    assert str(found.assertions[0]["method"]).startswith("Hypothesis, ")


def test_the_counter_example_is_the_smallest_and_the_same_each_time(tmp_path: Path) -> None:
    assertion = prop({"type": "equals", "value": "fine"}, examples=100)

    first, second = (graded(tmp_path, assertion, breaks_at_100) for _ in range(2))

    assert first.outcome == "failed"
    assert 'counter-example {"x":"","n":100}' in first.reason
    assert first == second


def test_a_provider_that_is_down_is_no_counter_example(tmp_path: Path) -> None:
    async def down(case: Case) -> Response:
        if "n" in case.variables:
            raise Unavailable("down")
        return Response(output="x")

    found = graded(tmp_path, prop({"type": "equals", "value": "x"}), down)

    assert (found.outcome, found.fault) == ("error", "provider")


@pytest.mark.parametrize(
    ("change", "good"),
    [("extra-spaces", True), ("trailing-newlines", True), ("upper-case", False)],
)
def test_a_change_that_should_not_matter_must_not(
    tmp_path: Path, change: str, *, good: bool
) -> None:
    async def words(case: Case) -> Response:
        return Response(output=" ".join(str(case.variables["x"]).split()))

    assertion: dict[str, Json] = {
        "type": "metamorphic",
        "value": {"change": change, "of": "x"},
        "examples": 10,
    }
    found = graded(tmp_path, assertion, words)

    assert (found.outcome == "passed") is good
    assert good or 'counter-example {"x":"A B"}' in found.reason or '"A B"' in found.reason


def test_an_order_that_should_not_matter_is_found_to_matter(tmp_path: Path) -> None:
    async def first_line(case: Case) -> Response:
        return Response(output=str(case.variables["x"]).partition("\n")[0])

    value: Json = {"change": "shuffled-lines", "of": "x"}
    found = graded(tmp_path, {"type": "metamorphic", "value": value}, first_line, "a\nb\nc")

    assert found.outcome == "failed"


@pytest.mark.parametrize(
    "assertion",
    [
        {"type": "property", "assert": [{"type": "contains", "value": "a"}]},
        {"type": "property", "schema": SCHEMA, "assert": [{"type": "llm-rubric", "value": "x"}]},
        {"type": "property", "schema": SCHEMA, "assert": []},
        {"type": "property", "schema": {"type": "odd"}, "assert": [{"type": "is-json"}]},
        prop({"type": "is-json"}, examples=0),
        {"type": "metamorphic", "value": {"change": "nothing", "of": "x"}},
        {"type": "metamorphic", "value": {"change": "upper-case", "of": "y"}},
        {"type": "metamorphic", "value": {"change": "upper-case", "of": "x", "relation": "odd"}},
        {"type": "metamorphic", "value": "upper-case"},
    ],
)
def test_what_cannot_be_searched_is_an_error_of_the_case(
    tmp_path: Path, assertion: Mapping[str, Json]
) -> None:
    assert graded(tmp_path, assertion, number).fault == "case"
