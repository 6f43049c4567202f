"""No text of an answer goes out unguarded, whole or streamed, and both come out alike."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category
from lockgate.guards.pipeline import Pipeline
from lockgate.guards.policy import Policy
from lockgate.guards.vault import Vault
from lockgate.server.answer_guarding import AnswerGuard
from lockgate.server.failures import HttpFailure

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
OTHER = "ghp_" + "zY8wV5uT2sR9qP6oN3mL0kJ7iH4gF1eD8cB5"
CANARY = "q7Zp3VtX9LmK2w"
HIDDEN = "<secret:github-pat:1>"
PIPELINE = Pipeline(
    {
        DataClass.INTERNAL: Policy(
            output={Category.SECRETS: Action.REDACT, Category.CANARY: Action.BLOCK}
        )
    },
    canaries=(CANARY,),
)


def guard() -> AnswerGuard:
    return AnswerGuard(PIPELINE, DataClass.INTERNAL, Vault())


def whole(answer: Any) -> Any:
    return json.loads(guard().whole(json.dumps(answer).encode()))


def told(message: Any, **more: Any) -> Any:
    return {"id": "c1", "choices": [{"index": 0, "message": message, **more}], "usage": None}


def call(arguments: str, index: int = 0, name: str = "run") -> Any:
    return {
        "index": index, "id": f"call_{index}", "type": "function",
        "function": {"name": name, "arguments": arguments},
    }  # fmt: skip


SECRET_JSON = json.dumps({"cmd": f"login {TOKEN}", "n": 1})
CLEAN_JSON = json.dumps({"cmd": f"login {HIDDEN}", "n": 1})


@pytest.mark.parametrize(
    ("message", "clean"),
    [
        ({"content": f"a {TOKEN} b"}, {"content": f"a {HIDDEN} b"}),
        ({"content": None, "refusal": TOKEN}, {"content": None, "refusal": HIDDEN}),
        ({"reasoning_content": f"{TOKEN}."}, {"reasoning_content": f"{HIDDEN}."}),
        ({"reasoning": TOKEN}, {"reasoning": HIDDEN}),
        (
            {"reasoning_details": [{"type": "reasoning.text", "text": TOKEN}]},
            {"reasoning_details": [{"type": "reasoning.text", "text": HIDDEN}]},
        ),
        ({"tool_calls": [call(SECRET_JSON)]}, {"tool_calls": [call(CLEAN_JSON)]}),
        ({"tool_calls": [call(TOKEN)]}, {"tool_calls": [call(HIDDEN)]}),
        ({"tool_calls": [call("{}", name=TOKEN)]}, {"tool_calls": [call("{}", name=HIDDEN)]}),
        (
            {"tool_calls": [{"id": "1", "type": "custom", "custom": {"input": TOKEN}}]},
            {"tool_calls": [{"id": "1", "type": "custom", "custom": {"input": HIDDEN}}]},
        ),
        (
            {"function_call": {"name": "f", "arguments": SECRET_JSON}},
            {"function_call": {"name": "f", "arguments": CLEAN_JSON}},
        ),
        ({"audio": {"transcript": TOKEN}}, {"audio": {"transcript": HIDDEN}}),
        (
            {"content": [{"type": "text", "text": TOKEN}, {"type": "text", "text": "x"}]},
            {"content": [{"type": "text", "text": HIDDEN}, {"type": "text", "text": "x"}]},
        ),
        ({"made_up_tomorrow": {"deep": [TOKEN]}}, {"made_up_tomorrow": {"deep": [HIDDEN]}}),
    ],
)
def test_every_text_of_a_message_is_guarded(message: Any, clean: Any) -> None:
    assert whole(told(message)) == told(clean)


def test_every_choice_is_guarded_and_the_texts_beside_them() -> None:
    answer = {
        "choices": [{"text": "fine"}, {"text": TOKEN}, {"text": f"{OTHER} {TOKEN}"}],
        "citations": [f"https://x.io/{TOKEN}"],
    }

    assert whole(answer) == {
        "choices": [
            {"text": "fine"},
            {"text": HIDDEN},
            {"text": f"{HIDDEN} <secret:github-pat:2>"},
        ],
        "citations": [f"https://x.io/{HIDDEN}"],
    }


@pytest.mark.parametrize(
    "answer",
    [
        told({"role": "assistant", "content": "Fine.", "refusal": None, "annotations": []}),
        told({"content": None, "tool_calls": [call('{"a": 1}')]}, logprobs={"content": []}),
        {"object": "list", "data": [{"embedding": [0.1, 0.2]}], "model": "m"},
        {"choices": [{"text": "a\u0000b \ud83d\ude00"}]},
        {"choices": []},
        {},
    ],
)
def test_an_answer_in_which_nothing_is_found_stays_to_the_byte(answer: Any) -> None:
    body = json.dumps(answer, indent=1).encode()

    assert guard().whole(body) is body


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"choices": {}}',
        b'{"choices": [1]}',
        b'{"choices": [{"message": ' + b'{"a":' * 60 + b'"x"' + b"}" * 60 + b"}]}",
        b'{"choices": [{"index": "0", "delta": {"a": "b"}}]}',
    ],
)
def test_a_chunk_that_nobody_can_look_at_does_not_go_out(body: bytes) -> None:
    with pytest.raises(HttpFailure) as caught:
        guard().chunk(body)

    assert caught.value.status == 502


def test_a_canary_in_the_arguments_of_a_tool_ends_the_answer() -> None:
    with pytest.raises(HttpFailure) as caught:
        whole(told({"content": "", "tool_calls": [call(json.dumps({"to": CANARY}))]}))

    assert (caught.value.stable_code, caught.value.param) == ("guard-blocked", "canary-1")


def test_probabilities_do_not_tell_what_was_taken_out() -> None:
    logprobs = {"content": [{"token": TOKEN, "logprob": -0.1}]}

    clean = whole(told({"content": TOKEN}, logprobs=logprobs))

    assert clean == told({"content": HIDDEN}, logprobs=None)


def test_probabilities_in_a_stream_do_not_tell_what_is_held_back() -> None:
    one = guard()
    sent = []
    for piece in ("Use ", TOKEN[:20], TOKEN[20:], " now."):
        choice = {"delta": {"content": piece}, "logprobs": {"content": [{"token": piece}]}}
        sent.append(json.loads(one.chunk(json.dumps({"choices": [choice]}).encode())))

    assert TOKEN[5:20] not in json.dumps(sent)
    assert {chunk["choices"][0]["logprobs"] for chunk in sent} == {None}


FIELDS: Sequence[tuple[str | int, ...]] = (
    ("content",),
    ("reasoning_content",),
    ("refusal",),
    ("tool_calls", 0, "function", "arguments"),
    ("tool_calls", 1, "function", "arguments"),
    ("function_call", "arguments"),
    ("reasoning_details", 2, "text"),
)


def nest(path: Sequence[str | int], text: str) -> Any:
    if not path:
        return text
    inner = nest(path[1:], text)
    return {path[0]: inner} if isinstance(path[0], str) else [{"index": path[0], **inner}]


def gather(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, str]]:
    if isinstance(node, str):
        yield path, node
    for name, item in node.items() if isinstance(node, dict) else ():
        yield from gather(item, (*path, name))
    for item in node if isinstance(node, list) else ():
        yield from gather(item, (*path, item["index"]))


def collected(chunks: Sequence[bytes]) -> dict[Any, str]:
    """Put the pieces together as a client does."""
    found: dict[Any, str] = {}
    for chunk in chunks:
        for choice in json.loads(chunk)["choices"]:
            for path, text in gather(choice.get("delta", {})):
                key = (choice["index"], *path)
                found[key] = found.get(key, "") + text
    return {key: text for key, text in found.items() if text}


WRITTEN = st.lists(
    st.sampled_from([TOKEN, OTHER, TOKEN[:9], " ", '"', "\n", "é", "{", "a", "key"]), max_size=5
).map("".join)
TEXTS = st.dictionaries(
    st.tuples(st.integers(0, 2), st.sampled_from(FIELDS)), WRITTEN, max_size=5
).map(
    lambda texts: {
        (choice, path): json.dumps({"a": text}) if path[-1] == "arguments" else text
        for (choice, path), text in texts.items()
    }
)


def streamed(texts: Any, cuts: Sequence[tuple[int, int]], *, ends: bool) -> list[bytes]:
    """Send the texts in pieces that are mixed: each cut names a text and how much of it is next."""
    one = guard()
    left = {key: text for key, text in texts.items() if text}
    events: list[tuple[int, Any, Any]] = []
    for which, much in cuts:
        if not left:
            break
        key = sorted(left, key=str)[which % len(left)]
        events.append((key[0], nest(key[1], left[key][:much]), None))
        left[key] = left[key][much:]
        if not left[key]:
            del left[key]
    events += [(choice, nest(path, rest), None) for (choice, path), rest in left.items()]
    if ends:
        events += [(choice, {}, "stop") for choice in {key[0] for key in texts}]
    sent = [
        one.chunk(json.dumps({"choices": [{"index": i, "delta": d, "finish_reason": f}]}).encode())
        for i, d, f in events
    ]
    return [*sent, *one.rests()]


@settings(max_examples=200, deadline=None)
@given(
    texts=TEXTS,
    cuts=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 50)), max_size=30),
    ends=st.booleans(),
)
@example(
    texts={(0, ("content",)): TOKEN, (0, ("refusal",)): f"{OTHER} ", (1, ("content",)): OTHER},
    cuts=[],
    ends=True,
)
def test_however_its_texts_are_cut_and_mixed_a_stream_tells_what_the_whole_does(
    texts: Any, cuts: Sequence[tuple[int, int]], *, ends: bool
) -> None:
    sent = collected(streamed(texts, cuts, ends=ends))

    expected = {}
    for (choice, path), text in texts.items():
        answer = whole({"choices": [{"index": choice, "message": nest(path, text)}]})
        for found, clean in gather(answer["choices"][0]["message"]):
            expected[(choice, *found)] = clean
    assert sent == {key: text for key, text in expected.items() if text}
    assert TOKEN not in json.dumps([[str(k), v] for k, v in sent.items()])
    for (*_, name), text in sent.items():
        if name == "arguments":
            json.loads(text)


def test_chunks_of_a_tool_call_stay_one_to_one_and_the_arguments_come_with_the_last() -> None:
    one = guard()
    pieces = [SECRET_JSON[a : a + 7] for a in range(0, len(SECRET_JSON), 7)]
    chunks = [{"tool_calls": [call("", name="run")]}]
    chunks += [{"tool_calls": [{"index": 0, "function": {"arguments": p}}]} for p in pieces]

    out = [
        json.loads(one.chunk(json.dumps({"choices": [{"index": 0, "delta": d}]}).encode()))
        for d in chunks
    ]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    end = json.loads(one.chunk(json.dumps(last).encode()))

    assert out[0]["choices"][0]["delta"] == chunks[0]
    assert {c["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] for c in out} == {""}
    assert end["choices"][0]["finish_reason"] == "tool_calls"
    assert end["choices"][0]["delta"] == {
        "tool_calls": [{"index": 0, "function": {"arguments": CLEAN_JSON}}]
    }
    assert one.rests() == []
