"""No text of a request reaches a model unguarded, and none of an answer a client, over HTTP."""

import json
from typing import Any

import pytest

from lockgate.app.gateway_controls import Controls, guards
from lockgate.config.guard_settings import GuardClassSettings, GuardSettings
from lockgate.domain.guard import Action
from security.talking import saying
from server.serving import Models, Served, serving, upstream
from upstream.mock_model import MockModel, mock_model

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
CARD = 4111111111111111
HIDDEN = "<secret:github-pat:1>"
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": f"uses {TOKEN}",
        "parameters": {"type": "object", "properties": {TOKEN: {"default": [CARD, TOKEN]}}},
    },
}
CALL = {
    "id": TOKEN,
    "type": "function",
    "function": {"name": TOKEN, "arguments": json.dumps({"cmd": f'echo "{TOKEN}"', "n": CARD})},
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"strict": False, "name": "s", "schema": {"const": TOKEN}},
}


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content, **more}]}


CHATS: dict[str, dict[str, Any]] = {
    "content": user(f"{TOKEN} {CARD}"),
    "parts": user([{"type": "text", "text": TOKEN}, {"type": "refusal", "refusal": TOKEN}]),
    "picture as text": user(
        [{"type": "image_url", "image_url": {"url": f"data:image/svg+xml,<!--{TOKEN}-->"}}]
    ),
    "picture's detail": user(
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": TOKEN}}]
    ),
    "sound's format": user(
        [{"type": "input_audio", "input_audio": {"data": "AA==", "format": TOKEN, TOKEN: "x"}}]
    ),
    "name": user("hi", name=TOKEN),
    "result of a tool": {"messages": [{"role": "tool", "content": TOKEN, "tool_call_id": TOKEN}]},
    "parts of a result": {
        "messages": [{"role": "tool", "content": [{"type": "text", "text": TOKEN}]}]
    },
    "history": {
        "messages": [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [CALL],
                "refusal": TOKEN,
                "reasoning_content": TOKEN,
                "reasoning": TOKEN,
                "annotations": [{"url_citation": {"title": TOKEN, "url": f"https://x/{CARD}"}}],
                "audio": {"id": TOKEN},
                "function_call": {"name": "f", "arguments": TOKEN},
            }
        ]
    },
    "tools": {**user("hi"), "tools": [TOOL]},
    "choice of a tool": {**user("hi"), "tool_choice": {"function": {"name": TOKEN}}},
    "format": {**user("hi"), "response_format": SCHEMA},
    "metadata": {**user("hi"), "metadata": {TOKEN: TOKEN, "client_secret": "k9Zq2Lw8Xr4Tn6Vb1Hs3"}},
    "stop": {**user("hi"), "stop": [TOKEN]},
    "user": {**user("hi"), "user": TOKEN},
    "effort": {**user("hi"), "reasoning_effort": TOKEN, "verbosity": TOKEN},
    "bias": {**user("hi"), "logit_bias": {TOKEN: 1.0}},
    "prediction": {**user("hi"), "prediction": {"type": "content", "content": TOKEN}},
    "marks": {
        **user("hi"),
        "prompt_cache_key": TOKEN,
        "safety_identifier": TOKEN,
        "service_tier": TOKEN,
    },
}
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/completions", {"prompt": TOKEN, "suffix": TOKEN, "stop": TOKEN, "user": TOKEN}),
    ("/v1/completions", {"prompt": ["fine", TOKEN]}),
    ("/v1/embeddings", {"input": TOKEN, "user": TOKEN}),
    ("/v1/embeddings", {"input": ["fine", f"a {TOKEN}", str(CARD)]}),
]


def models_of(mock: MockModel) -> Models:
    async def models() -> dict[str, Any]:
        return {"m": upstream("m", mock.port)}

    return models


@pytest.fixture(scope="module")
def guarded() -> Any:
    chosen = GuardClassSettings(secrets=Action.REDACT, personal=Action.REDACT)
    settings = GuardSettings(public=chosen, internal=chosen, confidential=chosen)
    with mock_model() as mock:
        controls = Controls(guards=guards(settings))
        with serving(models_of(mock), controls=controls) as served:
            yield mock, served


@pytest.mark.parametrize(
    ("path", "body"),
    [*(("/v1/chat/completions", body) for body in CHATS.values()), *OTHERS],
    ids=[*CHATS, *(f"{path} {'+'.join(body)}" for path, body in OTHERS)],
)
def test_no_text_of_a_request_goes_on_unguarded(
    guarded: tuple[MockModel, Served], path: str, body: dict[str, Any]
) -> None:
    mock, served = guarded
    mock.requests.clear()
    mock.answer = saying(json.dumps(HIDDEN)) if "response_format" in body else None

    response, _ = served.ask("POST", path, {"model": "m", **body})

    assert response.status == 200
    sent = json.dumps(mock.requests)
    assert HIDDEN in sent
    assert TOKEN not in sent
    assert str(CARD) not in sent
    assert "k9Zq2Lw8Xr4Tn6Vb1Hs3" not in sent


def test_the_arguments_of_an_earlier_call_stay_json(guarded: tuple[MockModel, Served]) -> None:
    mock, served = guarded
    mock.requests.clear()

    served.ask("POST", "/v1/chat/completions", {"model": "m", **CHATS["history"]})

    call = mock.requests[0]["messages"][0]["tool_calls"][0]["function"]
    assert json.loads(call["arguments"]) == {
        "cmd": f'echo "{HIDDEN}"',
        "n": "<personal:payment-card:2>",
    }


def test_tools_without_findings_go_on_as_they_are(guarded: tuple[MockModel, Served]) -> None:
    mock, served = guarded
    mock.requests.clear()
    tool = {"type": "function", "function": {"name": "f", "parameters": {"maximum": 1e3, "x": [1]}}}

    served.ask("POST", "/v1/chat/completions", {"model": "m", **user("hi"), "tools": [tool]})

    assert mock.requests[0]["tools"] == [tool]


def send(mock: MockModel, events: list[Any]) -> None:
    body = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    body += b"data: [DONE]\n\n"
    mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize("size", [1, 5, 13, 400])
@pytest.mark.parametrize("ends", [True, False])
def test_a_secret_in_a_streamed_tool_call_does_not_come_out(
    guarded: tuple[MockModel, Served], size: int, *, ends: bool
) -> None:
    mock, served = guarded
    given = json.dumps({"header": f"Bearer {TOKEN}", "card": CARD, "path": "a/b"})
    thought = f"The token is {TOKEN}, I think."
    first = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    deltas: list[Any] = [{"role": "assistant", "content": None}]
    deltas += [{"reasoning_content": thought[a : a + size]} for a in range(0, len(thought), size)]
    deltas.append({"tool_calls": [first]})
    deltas += [
        {"tool_calls": [{"index": 0, "function": {"arguments": given[a : a + size]}}]}
        for a in range(0, len(given), size)
    ]
    events: list[Any] = [{"id": "c", "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    if ends:
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    send(mock, events)

    _, body = served.ask(
        "POST", "/v1/chat/completions", {"model": "m", **user("hi"), "stream": True}
    )

    *out, done = [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event]
    assert done == b"[DONE]"
    assert len(out) == len(events) + (not ends)
    choices = [json.loads(chunk)["choices"][0] for chunk in out]
    thoughts = "".join(choice["delta"].get("reasoning_content", "") for choice in choices)
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
    assert thoughts == f"The token is {HIDDEN}, I think."
    assert {call["index"] for call in calls} == {0}
    assert calls[0]["function"]["name"] == "f"
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {
        "header": f"Bearer {HIDDEN}",
        "card": "<personal:payment-card:2>",
        "path": "a/b",
    }
