"""Verdicts of promptfoo 0.121.20 on the same texts, beside hostile ones."""

import pytest

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput

from .bench import ask

NAMED: Json = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
CALL: Json = [{"function": {"name": "search", "arguments": '{"query": "x"}'}}]
TOOLS: Json = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
        },
    }
]


@pytest.mark.parametrize(
    ("type_", "output", "value", "passed"),
    [
        ("is-json", "[1, 2]", None, True),
        ("is-json", "NaN", None, False),
        ("is-json", '{"a": 1,}', None, False),
        ("is-json", "[" * 100_000, None, False),
        ("is-json", '{"name": "a"}', NAMED, True),
        ("is-json", '{"name": 5}', NAMED, False),
        ("not-is-json", '{"name": 5}', NAMED, True),
        ("is-json", '{"name": "a"}', "type: object\nrequired: [name]", True),
        ("contains-json", 'so: {"name": "a"} ok', NAMED, True),
        ("contains-json", "so: {name: a} ok", NAMED, True),
        ("contains-json", '{"x": 1} {"name": "a"}', NAMED, True),
        ("contains-json", 'cut off: {"name": "a"', NAMED, True),
        ("contains-json", "no braces", None, False),
        ("contains-json", "{" * 50_000, None, False),
        ("is-xml", "<a><b>1</b></a>", "a.b", True),
        ("is-xml", "<a><b>1</b><b>2</b></a>", ["a.b.1"], True),
        ("is-xml", "<a><b/></a>", {"requiredElements": ["a.c"]}, False),
        ("is-xml", "<n:a/>", None, False),
        ("is-xml", "<a>&nope;</a>", None, False),
        ("is-xml", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", None, False),
        ("is-xml", "<a>" * 100_000, None, False),
        ("contains-xml", "see <a><b>1</b></a> there", "a.b", True),
        ("contains-xml", "1 < 2 > 1", None, False),
        ("contains-xml", "<a><b></a></b>", None, False),
        ("contains-xml", "<a" * 100_000, None, False),
        ("is-html", "<p>a<p>b", None, True),
        ("is-html", "<b>a</b> b", None, False),
        ("is-html", "<body>x", None, True),
        ("is-html", "x<body>", None, False),
        ("is-html", "<foo>z</foo>", None, False),
        ("is-html", "<x-y>z</x-y>", None, True),
        ("is-html", "<table>x<tr></table>", None, False),
        ("is-html", "<p><b>x</p>y", None, True),
        ("is-html", "<script>a<b</script>", None, True),
        ("is-html", "</p>", None, False),
        ("is-html", "<" * 100_000, None, False),
        ("contains-html", "a <b>c</b>", None, True),
        ("contains-html", "a < b &lt;", None, False),
        ("is-sql", "SELECT a, b FROM t WHERE a IN (1, 2) ORDER BY b LIMIT 5", None, True),
        ("is-sql", "SELECT a b FROM t", None, False),
        ("is-sql", "SELECT a FROM t WHERE", None, False),
        ("is-sql", "DROP TABLE t; hello", None, False),
        ("is-sql", "SELECT * FROM generate_series(1, 5)", None, False),
        ("is-sql", "SELECT * FROM generate_series(1, 5)", {"databaseType": "PostgreSQL"}, True),
        ("is-sql", "SELECT a FROM t", {"allowedTables": ["select::null::t"]}, True),
        ("is-sql", "SELECT a FROM u", {"allowedTables": ["select::null::t"]}, False),
        ("is-sql", "DELETE FROM t", {"allowedTables": ["select::(.*)::t"]}, False),
        ("is-sql", "SELECT a FROM t", {"allowedColumns": ["select::t::a"]}, True),
        ("is-sql", "SELECT b FROM t", {"allowedColumns": ["select::t::a"]}, False),
        ("is-sql", "SELECT " + "(" * 50_000, None, False),
        ("contains-sql", "Run:\n```sql\nSELECT 1\n```", None, True),
        ("contains-sql", "Run:\n```python\nSELECT 1\n```", None, False),
        ("is-valid-openai-tools-call", CALL, None, True),
        ("is-valid-openai-tools-call", "no", None, False),
        ("not-is-valid-openai-tools-call", "no", None, False),
        ("is-valid-openai-tools-call", "MCP Tool Result (x): ok", None, True),
        ("is-valid-openai-tools-call", "MCP Tool Error (x): bad", None, False),
        ("tool-call-f1", CALL, "search", True),
        ("tool-call-f1", CALL, ["search", "now"], False),
        ("tool-call-f1", '{"type": "tool_use", "name": "now"}', ["now"], True),
        ("tool-call-f1", {"toolCall": {"functionCalls": [{"name": "now"}]}}, "now", True),
        ("guardrails", "x", None, True),
    ],
)
def test_a_structure_is_recognised(type_: str, output: Json, value: Json, *, passed: bool) -> None:
    assert ask(type_, output, value, tools=TOOLS).passed is passed


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("is-json", {"type": "object", "propertis": {}}),
        ("is-json", {"format": "dat"}),
        ("is-json", {"$ref": "http://example.org/schema"}),
        ("is-json", {"$schema": "https://json-schema.org/draft/2020-12/schema"}),
        ("is-json", "type: ["),
        ("is-json", 5),
        ("is-xml", {"elements": []}),
        ("is-sql", "MySQL"),
        ("is-sql", {"allowedTables": "t"}),
        ("tool-call-f1", []),
    ],
)
def test_a_value_of_the_wrong_shape_is_an_error(type_: str, value: Json) -> None:
    with pytest.raises(InvalidInput, match=f"the assertion `{type_}`"):
        ask(type_, "{}", value)


@pytest.mark.parametrize(
    ("type_", "output", "value", "score"),
    [
        ("rouge-n", "the cat sat on the mat", "the cat sat on the mat", 1.0),
        ("rouge-n", "a b", "a c", 0.5),
        ("rouge-n", "can't", "can't", 1.0),
        ("rouge-n", "", "a", 0.0),
        ("bleu", "a b c d", "a b c d", 1.0),
        ("bleu", " ", "a", 0.0),
        ("gleu", "a b c d", ["x", "a b c d."], 1.0),
        ("gleu", "a b", "a c", 1 / 3),
        ("meteor", "running dogs", "run dog", 0.9375),
        ("meteor", "a", "b", 0.0),
    ],
)
def test_overlap_is_scored(type_: str, output: str, value: Json, score: float) -> None:
    assert ask(type_, output, value).score == pytest.approx(score)
    assert ask(f"not-{type_}", output, value).score == pytest.approx(1 - score)


@pytest.mark.parametrize("type_", ["gleu", "meteor"])
def test_scores_without_an_output_are_an_error_where_promptfoo_has_one(type_: str) -> None:
    with pytest.raises(InvalidInput):
        ask(type_, "", "a")
