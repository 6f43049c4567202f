"""An answer that was promised to match a schema does, or is none."""

import json
from typing import Any

import pytest

from lockgate.config.gateway_settings import ServerSettings
from lockgate.server.answer_checks import AnswerSchemas
from lockgate.server.requests import ChatRequest, Message
from server.serving import CHAT, Served, serving, to
from upstream.mock_model import MockModel, mock_model

SCHEMA = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "high"]}},
    "required": ["risk"],
    "additionalProperties": False,
}
WANTED: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA}}


def answering(content: Any, **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, **more}
    body = json.dumps({"id": "c", "object": "chat.completion", "choices": [choice]}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def ask(served: Served, wanted: Any = WANTED) -> tuple[int, Any]:
    body = {**CHAT, "response_format": wanted}
    response, answer = served.ask("POST", "/v1/chat/completions", body)
    return response.status, answer


@pytest.mark.parametrize(
    ("content", "more", "status"),
    [
        ('{"risk": "high"}', {}, 200),
        ('{"risk": "unknown"}', {}, 502),
        ("Sure! Here is the JSON.", {}, 502),
        ("[" * 5000, {}, 502),
        (None, {"finish_reason": "tool_calls"}, 200),
        ('{"ri', {"finish_reason": "length"}, 200),
    ],
)
def test_only_an_answer_that_matches_comes_through(
    mock: MockModel, content: Any, more: dict[str, Any], status: int
) -> None:
    mock.answer = answering(content, **more)
    with serving(to(mock)) as served:
        assert ask(served)[0] == status


def test_the_next_model_answers_where_one_does_not_match(mock: MockModel) -> None:
    mock.answer = answering("no")
    settings = ServerSettings(fallbacks={"m": ("spare",)})
    with mock_model() as spare:
        spare.answer = answering('{"risk": "low"}')
        with serving(to(mock, spare=spare), settings=settings) as served:
            status, answer = ask(served)
            assert (status, answer["choices"][0]["message"]["content"]) == (200, '{"risk": "low"}')
            page = served.ask("GET", "/metrics")[1].decode()
    assert 'lockgate_failures_total{type="schema",model="m"' in page


def test_any_object_will_do_where_no_schema_is_named(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        mock.answer = answering('{"x": 1}')
        assert ask(served, {"type": "json_object"})[0] == 200
        mock.answer = answering("[1]")
        assert ask(served, {"type": "json_object"})[0] == 502
        assert ask(served, {"type": "text"})[0] == 200
        loose = {"name": "r", "strict": False, "schema": SCHEMA}
        assert ask(served, {"type": "json_schema", "json_schema": loose})[0] == 200


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"$ref": "https://example.org/schema.json"}, 7]
)
def test_a_schema_that_is_none_or_lies_elsewhere_is_refused(mock: MockModel, schema: Any) -> None:
    with serving(to(mock)) as served:
        status, body = ask(served, {"type": "json_schema", "json_schema": {"schema": schema}})
        assert (status, body["error"]["code"]) == (400, "invalid-input")
    assert not mock.requests


def test_many_schemas_take_bounded_memory() -> None:
    schemas = AnswerSchemas()
    message = Message(role="user", content="x")
    for number in range(400):
        named = {"schema": {"const": number}}
        wanted = {"type": "json_schema", "json_schema": named}
        schemas.of(ChatRequest(model="m", messages=[message], response_format=wanted))
    assert len(schemas._kept) == 256
