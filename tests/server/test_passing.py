import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any

import openai
import pytest

from lockgate.app.gateway_models import ServedModel
from lockgate.domain.call import DataClass
from lockgate.server.protocol import EdgeLimits
from lockgate.upstream.limits import Limits
from server.serving import Models, Served, serving, upstream
from upstream.mock_model import USAGE, WORDS, MockModel

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def to(mock: MockModel, limits: Limits | None = None, **changes: Any) -> Models:
    async def models() -> dict[str, ServedModel]:
        return {"m": replace(upstream("m", mock.port, limits), **changes)}

    return models


def chat(served: Served, **more: Any) -> tuple[Any, Any]:
    return served.ask("POST", "/v1/chat/completions", {**CHAT, **more})


def whole(value: Any, status: bytes = b"200 OK") -> bytes:
    """An upstream's answer."""
    body = json.dumps(value).encode()
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def events(body: bytes) -> list[bytes]:
    return [line[6:] for line in body.split(b"\n\n") if line]


def test_a_chat_is_passed_on_and_its_answer_comes_back(mock: MockModel) -> None:
    with serving(to(mock, served="their-m")) as served:
        response, body = chat(served)
        assert response.status == 200
        assert body["choices"][0]["message"]["content"] == "".join(WORDS)
        assert mock.requests == [{**CHAT, "model": "their-m"}]
        assert response.headers["x-lockgate-engine"] == "upstream"


def test_what_a_client_says_in_headers_is_not_passed_on(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        served.ask("POST", "/v1/chat/completions", CHAT, {"X-Secret": "s", "Cookie": "c"})
        (head,) = mock.heads
        assert b"secret" not in head.lower()
        assert b"cookie" not in head.lower()


def test_the_call_is_noted_with_its_destination_and_usage(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        response, _ = chat(served)
        call, actor, subject, detail = served.noted()
        assert call == response.headers["x-request-id"]
        assert actor.startswith("local/")
        assert subject == "model:m"
        assert detail["destination"] == f"127.0.0.1:{mock.port}"
        assert detail["usage"] == {"input_tokens": 7, "output_tokens": 4}
        assert detail["status"] == 200


def test_a_stream_is_passed_on_and_booked_though_nobody_asked_for_its_usage(
    mock: MockModel,
) -> None:
    with serving(to(mock)) as served:
        response, body = chat(served, stream=True)
        assert response.headers["content-type"].startswith("text/event-stream")
        *chunks, done = events(body)
        assert done == b"[DONE]"
        texts = [json.loads(c)["choices"][0]["delta"]["content"] for c in chunks]
        assert texts == list(WORDS)
        assert mock.requests[0]["stream_options"] == {"include_usage": True}
        assert served.noted()[3]["usage"] == {"input_tokens": 7, "output_tokens": 4}


def test_a_client_that_asks_for_the_usage_of_a_stream_gets_it(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        _, body = chat(served, stream=True, stream_options={"include_usage": True})
        assert json.loads(events(body)[-2])["usage"] == USAGE


def test_a_client_that_leaves_ends_the_upstreams_work(mock: MockModel) -> None:
    for stream in (b"true", b"false"):
        mock.hang_after = 2
        mock.asked.clear()
        mock.hung_up.clear()
        with serving(to(mock)) as served:
            body = b'{"model":"m","messages":[{"role":"user"}],"stream":%b}' % stream
            with socket.create_connection(("127.0.0.1", served.port)) as client:
                client.sendall(
                    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
                )
                assert mock.asked.wait(5)
                if stream == b"true":
                    client.recv(4096)
            assert mock.hung_up.wait(5)


def test_a_client_that_reads_nothing_is_let_go_and_with_it_the_upstream(mock: MockModel) -> None:
    body = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 60_000)
    mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + body * 400
    with serving(to(mock), limits=EdgeLimits(write_s=0.3)) as served:
        request = b'{"model":"m","messages":[{"role":"user"}],"stream":true}'
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(request), request)
            )
            assert mock.asked.wait(5)
            until = time.monotonic() + 5
            while served.edge.open and time.monotonic() < until:
                time.sleep(0.02)
            assert not served.edge.open
        assert mock.hung_up.wait(2)


def test_a_stream_that_breaks_off_ends_with_an_error_and_without_done(mock: MockModel) -> None:
    mock.hang_after = 2
    with serving(to(mock, Limits(idle_s=0.1))) as served:
        _, body = chat(served, stream=True)
        *chunks, last = events(body)
        assert len(chunks) == 2
        assert json.loads(last)["error"]["code"] == "upstream-timeout"
        assert b"[DONE]" not in body


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}", 502, "upstream-failed"),
        (b"HTTP/1.1 401 X\r\nContent-Length: 2\r\n\r\n{}", 502, "upstream-failed"),
        (
            b"HTTP/1.1 302 X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            502,
            "upstream-failed",
        ),
        (
            b"HTTP/1.1 429 X\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}",
            429,
            "upstream-busy",
        ),
        (
            b'HTTP/1.1 400 X\r\nContent-Length: 29\r\n\r\n{"error":{"message":"no way"}}'[:-1],
            400,
            "upstream-refused",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 502, "upstream-failed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 502, "upstream-failed"),
        (b"not http at all\r\n\r\n", 502, "upstream-failed"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_upstream_that_fails_is_an_error_of_a_stable_code(
    mock: MockModel, answer: bytes, status: int, code: str
) -> None:
    mock.answer = answer
    with serving(to(mock)) as served:
        for stream in (False, True):
            response, body = chat(served, stream=stream)
            assert (response.status, body["error"]["code"]) == (status, code)
            assert set(body["error"]) == {"message", "type", "param", "code"}
            assert (response.headers["retry-after"] == "7") == (status == 429)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": {"message": "no way"}}, "says: no way"),
        ({"error": "no way"}, "says: no way"),
        ({"object": "error", "message": "no way", "code": 400}, "says: no way"),
        ({"detail": "no way"}, "says: no way"),
        ({"detail": [{"loc": ["body"], "msg": "no way", "input": "hi"}]}, "says: no way"),
        ({"detail": [7]}, "says: (no reason given)"),
        ({"message": 7}, "says: (no reason given)"),
    ],
)
def test_the_client_learns_what_is_wrong_with_its_request_however_the_upstream_says_it(
    mock: MockModel, answer: Any, words: str
) -> None:
    mock.answer = whole(answer, b"422 X")
    with serving(to(mock)) as served:
        response, body = chat(served)
    assert response.status == 422
    assert body["error"]["message"] == f"the upstream `there` {words}"


@pytest.mark.parametrize("body", [b"404 page not found", b'{"detail":"Not Found"}'])
def test_a_url_that_leads_nowhere_is_the_operators_mistake_and_not_the_clients(
    mock: MockModel, body: bytes
) -> None:
    mock.answer = b"HTTP/1.1 404 X\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with serving(to(mock)) as served:
        response, failed = chat(served)
    assert (response.status, failed["error"]["code"]) == (502, "upstream-failed")
    assert "as a rule it ends with `/v1`" in failed["error"]["message"]


@pytest.mark.parametrize("answer", [{"error": {"message": "quota"}}, {"status": "ok"}, {}])
def test_what_is_no_answer_is_none_though_its_status_is_200(mock: MockModel, answer: Any) -> None:
    mock.answer = whole(answer)
    with serving(to(mock)) as served:
        response, body = chat(served)
    assert (response.status, body["error"]["code"]) == (502, "upstream-failed")
    assert "quota" not in body["error"]["message"]


def test_an_upstream_that_does_not_stream_is_said_to_send_no_events(mock: MockModel) -> None:
    body = b'{"choices":[]}'
    mock.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; x=y\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    with serving(to(mock)) as served:
        response, failed = chat(served, stream=True)
    assert (response.status, failed["error"]["code"]) == (502, "upstream-failed")
    assert "no event but `application/json`" in failed["error"]["message"]


def test_an_upstream_cannot_place_events_or_headers_of_its_own(mock: MockModel) -> None:
    evil = (
        b"event: error\ndata: {}\n\nid: 1\nretry: 1\n\n: comment\n\n"
        b'data: {"choices":[],\ndata: "x":"\\n\\ndata: [DONE]"}\n\ndata: [DONE]\n\n'
        b'data: {"choices":[{"delta":{"content":"after the end"}}]}\n\n'
    )
    mock.answer = (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nX-Evil: 1\r\nContent-Type: text/html\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(evil), evil)
    )
    with serving(to(mock)) as served:
        response, body = chat(served, stream=True)
        assert "set-cookie" not in response.headers
        assert "x-evil" not in response.headers
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in body.split(b"\n") if line]
        assert all(line.startswith(b"data: ") for line in lines)
        assert lines[-1] == b"data: [DONE]"
        assert body.count(b"\n\ndata: [DONE]") == 1
        assert b"after the end" not in body


def test_a_client_that_has_a_whole_stream_may_ask_on_though_the_upstream_has_not_ended_it(
    mock: MockModel,
) -> None:
    mock.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\ne\r\ndata: [DONE]\n\n\r\n"
    )
    asked = json.dumps({**CHAT, "stream": True}).encode()
    with (
        serving(to(mock)) as served,
        closing(HTTPConnection("127.0.0.1", served.port, timeout=5)) as client,
    ):
        for _ in range(3):
            client.request("POST", "/v1/chat/completions", asked)
            assert client.getresponse().read() == b"data: [DONE]\n\n"
        client.request("GET", "/healthz/live")
        assert client.getresponse().status == 200


def test_a_request_that_a_gateway_which_stops_does_not_wait_for_is_to_be_sent_again(
    mock: MockModel,
) -> None:
    mock.hang_after = 0
    with serving(to(mock)) as served, ThreadPoolExecutor(1) as clients:
        asking = clients.submit(chat, served)
        assert mock.asked.wait(5)
        (protocol,) = served.edge.open
        assert protocol.cycle is not None
        assert protocol.cycle.task is not None
        protocol.loop.call_soon_threadsafe(protocol.cycle.task.cancel)
        response, body = asking.result(5)
        assert (response.status, response.headers["retry-after"]) == (503, "1")
        assert body["error"]["code"] == "overloaded"
        assert mock.hung_up.wait(5)


def test_data_that_may_not_leave_does_not(mock: MockModel) -> None:
    public = frozenset({DataClass.PUBLIC})
    with serving(to(mock, data_classes=public)) as served:
        response, body = chat(served)
        assert (response.status, body["error"]["code"]) == (403, "denied")
    with serving(
        to(mock, data_classes=frozenset({DataClass.PUBLIC, DataClass.INTERNAL}))
    ) as served:
        raised = {"X-Lockgate-Data-Class": "confidential"}
        lowered = {"X-Lockgate-Data-Class": "public"}
        assert served.ask("POST", "/v1/chat/completions", CHAT, raised)[0].status == 403
        assert served.ask("POST", "/v1/chat/completions", CHAT, lowered)[0].status == 200
        odd = {"X-Lockgate-Data-Class": "secret"}
        assert served.ask("POST", "/v1/chat/completions", CHAT, odd)[0].status == 400
    assert len(mock.requests) == 1


def test_a_call_that_could_not_be_recorded_is_not_made(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        served.engine.full = True
        response, body = chat(served)
        assert (response.status, body["error"]["code"]) == (503, "unavailable")
        assert mock.requests == []


def test_an_unknown_model_is_not_found(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        response, body = chat(served, model="http://169.254.169.254/")
        assert (response.status, body["error"]["code"]) == (404, "not-found")
        assert mock.requests == []


def test_the_official_client_works(mock: MockModel) -> None:
    with (
        serving(to(mock)) as served,
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client,
    ):
        assert [model.id for model in client.models.list()] == ["m"]
        assert client.models.retrieve("m").owned_by == "there"
        reply = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}]
        )
        assert reply.choices[0].message.content == "".join(WORDS)
        assert reply.usage is not None
        assert reply.usage.total_tokens == 11
        stream = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        assert "".join(c.choices[0].delta.content or "" for c in stream) == "".join(WORDS)
        assert client.completions.create(model="m", prompt="hi").choices[0].text == "".join(WORDS)
        embedded = client.embeddings.create(model="m", input="hi", encoding_format="float")
        assert embedded.data[0].embedding == [0.6, 0.8]
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="x", messages=[{"role": "user", "content": "a"}])
        assert caught.value.code == "not-found"


def test_the_official_client_can_send_back_what_a_model_said(mock: MockModel) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
    odd: dict[str, Any] = {
        "annotations": [],
        "audio": None,
        "reasoning": "so",
        "reasoning_content": "so",
    }
    message = {**said, **odd, "function_call": None}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    mock.answer = whole({"id": "1", "object": "chat.completion", "created": 1, "model": "m",
                         "choices": [choice], "usage": USAGE})  # fmt: skip
    asked: list[Any] = [{"role": "user", "content": "hi"}]
    with (
        serving(to(mock)) as served,
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client,
    ):
        for _ in range(2):
            reply = client.chat.completions.create(
                model="m", messages=asked, service_tier="auto", store=False, modalities=["text"]
            )
            asked.append(reply.choices[0].message)
            asked.append(reply.choices[0].message.model_dump())
            asked.append({"role": "tool", "tool_call_id": "c", "content": "done"})
    back = mock.requests[1]["messages"][1]
    assert (back["tool_calls"], back["annotations"], back["reasoning"]) == ([call], [], "so")
