import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import InvalidInput
from lockgate.server import strict
from lockgate.server.requests import CHAT, ChatRequest, refuse_addresses

PLAIN = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def decode(data: bytes) -> ChatRequest:
    return strict.decode(data, CHAT)[0]


@pytest.mark.parametrize(
    "data",
    [
        b'{"model":"a","messages":[{"role":"user","content":"x"}],"model":"b"}',
        b'{"model" :"a","messages":[{"role":"user","content":"x"}],"model":"b"}',
        b'{"model"\t:"a","messages":[{"role":"user","content":"x"}],"model":"b"}',
        b'{"model":"a","messages":[{"role":"user","content":"x"}],"mod\\u0065l":"b"}',
        b'{"model":"a","messages":[{"role":"user","content":"\\u0022:"}],"model":"b"}',
        b'{"model":"a","messages":[{"role":"user","content":"\\u0022\\u003a"}],"model":"b"}',
        b'{"model":"a","messages":[{"role":"system","role":"user","content":"x"}]}',
        b'{"model":"a","messages":[{"role":"user"}],"metadata":{"a":"1","a":"2"}}',
        b'{"model":"a","messages":[{"role":"user"}],"tools":[{"x":{"y":1,"y":2}}]}',
    ],
)
def test_a_name_that_is_there_twice_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="twice"):
        decode(data)


NAMES = st.sampled_from(["a", "b", '":', '"', ":", "\\", "\u00e9", "a:b", ' "'])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(tools=st.lists(st.dictionaries(NAMES, JSON, max_size=3), max_size=3), indent=st.booleans())
def test_bodies_without_twins_pass_however_they_are_written(
    tools: list[object], indent: object
) -> None:
    text = json.dumps({**PLAIN, "tools": tools}, indent=2 if indent else None)
    assert decode(text.encode()).tools == tools


@given(
    pairs=st.lists(st.tuples(NAMES, JSON), min_size=1, max_size=4),
    separator=st.sampled_from([":", " : ", ": ", "\n:"]),
    escape=st.booleans(),
)
def test_twins_are_found_however_they_are_written(
    pairs: list[tuple[str, object]], separator: str, escape: object
) -> None:
    twins = [*pairs, pairs[0]]
    members = ",".join(
        f"{json.dumps(n, ensure_ascii=bool(escape))}{separator}{json.dumps(v)}" for n, v in twins
    )
    data = f'{{"model":"m","messages":[{{"role":"user"}}],"tools":[{{{members}}}]}}'
    with pytest.raises(InvalidInput, match="twice"):
        decode(data.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"model"',
        b"\xff\xfe",
        b'{"model":"m","messages":[]}',
        b'{"model":"","messages":[{"role":"user"}]}',
        b'{"model":"m","messages":[{"role":"wizard"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"m","messages":[{"role":"user"}],"temperature":NaN}',
        b'{"model":"m","messages":[{"role":"user"}],"temperature":9}',
        b'{"model":"m","messages":[{"role":"user"}],"n":1000000}',
        b'{"model":"m","messages":[{"role":"user"}],"max_tokens":-1}',
        b'{"model":"m","messages":[{"role":"user"}],"stream":"yes"}',
        b'{"model":["m"],"messages":[{"role":"user"}]}',
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(data)


@pytest.mark.parametrize(
    "member",
    [
        "api_base",
        "base_url",
        "api_key",
        "extra_headers",
        "extra_body",
        "headers",
        "host",
        "chat_template",
        "mock_response",
        "fallbacks",
        "file",
        "role",
        "team",
        "scopes",
    ],
)
def test_members_that_could_steer_the_gateway_are_refused(member: str) -> None:
    with pytest.raises(InvalidInput, match="unknown field"):
        decode(json.dumps({**PLAIN, member: "x"}).encode())


@pytest.mark.parametrize("depth", [70, 1_000, 100_000])
def test_deep_bodies_are_refused(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    data = b'{"model":"m","messages":[{"role":"user"}],"tools":[{"a":%b}]}' % nested
    with pytest.raises(InvalidInput, match=r"nested|not JSON"):
        decode(data)
    with pytest.raises(InvalidInput, match=r"nested|not JSON"):
        strict.json_object(b'{"a":%b}' % nested)


def test_a_wide_body_is_not_a_deep_one() -> None:
    data = json.dumps({**PLAIN, "tools": [{"a": [[]] * 500}]}).encode()
    assert decode(data).model == "m"


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "https://a/b.png", "file:///etc/passwd", "data:text/html,x"]
)
def test_a_picture_that_would_have_to_be_fetched_is_refused(url: str) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    asked = decode(
        json.dumps({**PLAIN, "messages": [{"role": "user", "content": content}]}).encode()
    )
    with pytest.raises(InvalidInput, match="nothing is fetched"):
        refuse_addresses(asked)


def test_equal_requests_have_equal_bytes() -> None:
    text = '{ "messages" : [ {"content":"h\\u0069","role":"user"} ], "model":"m" }'
    assert (
        strict.decode(text.encode(), CHAT)[1] == strict.decode(json.dumps(PLAIN).encode(), CHAT)[1]
    )
