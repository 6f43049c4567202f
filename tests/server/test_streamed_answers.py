"""A stream that was promised to match a schema does, or ends with an error."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import openai
import pytest

from lockgate.config.gateway_settings import ServerSettings
from lockgate.errors import UpstreamFailed
from lockgate.server.answer_checks import AnswerSchemas
from lockgate.server.replies import Choice, Delta
from lockgate.server.requests import ChatRequest, Message
from lockgate.server.streamed_answers import MOST_CHARACTERS, StreamedAnswers
from server.booked import Books
from server.serving import CHAT, Served, serving, to
from server.test_answer_checks import WANTED
from upstream.mock_model import MockModel, mock_model

WELL = nullcontext()
BADLY = pytest.raises(UpstreamFailed, match="does not match the schema")
GOOD = ('{"ri', 'sk": ', '"high"}')
BAD = ('{"ri', 'sk": ', '"unknown"}')


def answers(wanted: dict[str, Any] = WANTED) -> StreamedAnswers:
    asked = ChatRequest(
        model="m", messages=[Message(role="user", content="x")], response_format=wanted
    )
    return StreamedAnswers(AnswerSchemas().of(asked), "there")


def says(content: str | None, finish: str | None = None, index: int = 0, **more: Any) -> Choice:
    return Choice(index=index, delta=Delta(content=content, **more), finish_reason=finish)


@pytest.mark.parametrize(
    ("chunks", "sent", "ends"),
    [
        ([says('{"risk": '), says('"low"}'), says(None, "stop")], [True, True, True], WELL),
        ([says('{"risk": '), says('"no"}'), says(None, "stop")], [True, True, False], BADLY),
        ([says('{"risk": '), says('"no"}', "stop"), says("x")], [True, False, False], BADLY),
        ([says('{"risk": '), says('"low"}')], [True, True], WELL),
        ([says('{"risk": '), says('"no"}')], [True, True], BADLY),
        ([says(""), says('{"risk"', "length")], [True, True], WELL),
        ([says(""), says(None, tool_calls=[{}]), says(None, "tool_calls")], [True] * 3, WELL),
        ([says(""), says(None, refusal="I will not"), says(None, "stop")], [True] * 3, WELL),
        ([says(""), says(None, "stop")], [True, False], BADLY),
        ([says(None), says(None, "stop")], [True, True], WELL),
        # Said to have ended twice; and an answer that goes on after its end.
        ([says('{"risk": "low"}', "stop"), says("", "stop")], [True, True], WELL),
        ([says('{"risk": "low"}', "stop"), says(" ", "stop")], [True, False], BADLY),
        ([says("[" * 5000, "stop")], [False], BADLY),
        # Two answers, of which one does not match.
        (
            [says('{"risk": "low"}', "stop"), says("no", index=1), says(None, "stop", index=1)],
            [True, True, False],
            BADLY,
        ),
    ],
)
def test_a_stream_goes_on_until_an_answer_ends_that_does_not_match(
    chunks: Sequence[Choice], sent: list[bool], ends: AbstractContextManager[object]
) -> None:
    found = answers()
    assert [found.goes_on([chunk]) for chunk in chunks] == sent
    with ends:
        found.end()


def test_what_is_kept_of_a_stream_is_bounded() -> None:
    found = answers()
    with pytest.raises(UpstreamFailed, match=f"longer than {MOST_CHARACTERS} characters"):
        for _ in range(MOST_CHARACTERS):
            found.goes_on([says(" ")])
    found = answers()
    with pytest.raises(UpstreamFailed, match="more than 128 answers"):
        for index in range(1000):
            found.goes_on([says("", index=index)])


def stream(served: Served, mock: MockModel, wanted: dict[str, Any]) -> tuple[int, list[bytes]]:
    """Ask for a stream whose end is sent only after its beginning has come; return the events."""
    mock.hang_after = 2
    body = json.dumps({**CHAT, "stream": True, "response_format": wanted})
    client = HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        client.request("POST", "/v1/chat/completions", body)
        response = client.getresponse()
        mock.release()
        return response.status, [e[6:] for e in response.read().split(b"\n\n") if e]
    finally:
        client.close()


def test_a_stream_that_has_begun_and_does_not_match_ends_with_an_error_in_place_of_its_end(
    mock: MockModel,
) -> None:
    mock.words, mock.finish_reason = BAD, "stop"
    with serving(to(mock)) as served:
        status, events = stream(served, mock, WANTED)
        *chunks, last = map(json.loads, events)
        assert status == 200
        assert [c["choices"][0]["delta"]["content"] for c in chunks] == list(BAD)
        assert last["error"]["code"] == "upstream-failed"
        assert "does not match the schema" in last["error"]["message"]
        note = served.noted()[3]
        assert (note["status"], note["error"]) == (200, "upstream-failed")
        assert note["usage"] == {"input_tokens": 7, "output_tokens": 4}
        page = served.ask("GET", "/metrics")[1].decode()
    assert 'lockgate_failures_total{type="schema",model="m"' in page
    assert 'lockgate_responses_total{outcome="failed",model="m"' in page


def test_a_stream_that_matches_comes_as_it_is_and_other_formats_are_not_looked_at(
    mock: MockModel,
) -> None:
    mock.words, mock.finish_reason = GOOD, "stop"
    loose = {"type": "json_schema", "json_schema": {"name": "r", "strict": False, "schema": {}}}
    with serving(to(mock)) as served:
        events = stream(served, mock, WANTED)[1]
        assert events[-1] == b"[DONE]"
        assert json.loads(events[-2])["choices"][0]["finish_reason"] == "stop"
        assert "error" not in served.noted()[3]
        mock.words = BAD
        for wanted in ({"type": "text"}, loose):
            assert stream(served, mock, wanted)[1][-1] == b"[DONE]"


def test_the_next_model_answers_where_nothing_was_sent_yet_and_both_are_paid(
    mock: MockModel, tmp_path: Path
) -> None:
    bad = b'data: {"choices":[{"index":0,"delta":{"content":"no"},"finish_reason":"stop"}]}\n\n'
    taken = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":4}}\n\n'
    body = bad + taken + b"data: [DONE]\n\n"
    mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with mock_model() as spare:
        spare.words, spare.finish_reason = GOOD, "stop"
        books = Books(tmp_path, to(mock, spare=spare), fallbacks={"m": ("spare",)})
        with books.serving() as served:
            asked = {**CHAT, "max_tokens": 9, "stream": True, "response_format": WANTED}
            response, body = served.ask("POST", "/v1/chat/completions", asked)
            assert (response.status, body.endswith(b"data: [DONE]\n\n")) == (200, True)
    lost, given = books.events
    assert (lost.model, lost.nanos, lost.flags) == ("m", 11 * 1_000_000, frozenset({"cancelled"}))
    assert (given.model, given.nanos, given.flags) == ("spare", 11 * 3_000_000, frozenset())


def test_a_stream_that_does_not_match_costs_what_its_upstream_says(
    mock: MockModel, tmp_path: Path
) -> None:
    mock.words, mock.finish_reason = BAD, "stop"
    books = Books(tmp_path, to(mock), fallbacks={})
    with books.serving() as served:
        stream(served, mock, WANTED)
    (event,) = books.events
    assert (event.counts.input_tokens, event.counts.output_tokens) == (7, 4)
    assert event.flags == {"cancelled"}


def test_the_official_client_raises_what_the_stream_says(mock: MockModel) -> None:
    mock.words, mock.finish_reason = BAD, "stop"
    with serving(to(mock), settings=ServerSettings()) as served:
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)
        mock.hang_after = 1
        with client, pytest.raises(openai.APIError, match="does not match the schema"):
            given: Any = {**CHAT, "stream": True, "response_format": WANTED}
            for _ in client.chat.completions.create(**given):
                mock.release()
