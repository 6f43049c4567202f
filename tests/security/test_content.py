"""What hostile text can do: leave its place in a stream or a template, or pass the guards."""

import hashlib
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

import pytest

from lockgate.app.gateway_controls import Controls, exact_cache, guards
from lockgate.app.gateway_models import EmbeddedModel, ServedModel
from lockgate.config.gateway_settings import CacheSettings, ServerKey, ServerSettings
from lockgate.config.guard_settings import GuardClassSettings, GuardSettings
from lockgate.domain.digest import Digest
from lockgate.domain.identity import GatewayKey, KeySecret, Role
from lockgate.domain.inference import Completion, Dispatch, Result
from lockgate.domain.usage import Usage
from lockgate.errors import RequestRefused, Unauthenticated
from lockgate.identity.authenticator import Authenticator
from lockgate.identity.secret import digest
from security.talking import CHAT, saying, to
from server.serving import Models, serving
from upstream.mock_model import MockModel

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CANARY = "c4n4rytoken7f3a9b2e51"
# Made up; it has the form and no owner.
TOKEN = "ghp_" + "R4nD0mL00k1ngT0k3nV4lu3F0rT3st1ng9xQ"


class Parrot:
    """A model inside the process that says what it is told to, in parts."""

    def __init__(self, parts: Sequence[str]) -> None:
        self.parts = parts
        self.asked: list[Dispatch] = []

    async def infer(self, dispatch: Dispatch) -> Result:
        self.asked.append(dispatch)
        return Completion(
            text="".join(self.parts),
            finish_reason="stop",
            usage=Usage(input_tokens=3, output_tokens=len(self.parts)),
        )

    async def stream(self, dispatch: Dispatch, part: Any) -> Result:
        for each in self.parts:
            part(each)
        return await self.infer(dispatch)


def embedded(parrot: Parrot) -> Models:
    async def models() -> dict[str, ServedModel]:
        model: Any = EmbeddedModel(
            name="m",
            backend_name="parrot",
            backends={"parrot": parrot},  # type: ignore[dict-item]
            digest=Digest.of(b"m"),
            generates=True,
            release=str(Digest.of(b"m")).encode(),
        )
        return {"m": model}

    return models


def guarding(**row: Any) -> Controls:
    chosen = GuardClassSettings(**row)
    settings = GuardSettings(
        public=chosen, internal=chosen, confidential=chosen, canaries=(CANARY,)
    )
    return Controls(guards=guards(settings))


def streamed(body: bytes) -> tuple[list[bytes], str]:
    """Return the events of a stream, cut as the standard says, and its text."""
    events = [e.removeprefix(b"data: ") for e in body.split(b"\n\n") if e]
    chunks = [json.loads(e) for e in events if e != b"[DONE]"]
    texts = [c["choices"][0]["delta"].get("content", "") for c in chunks if c.get("choices")]
    return events, "".join(texts)


BREAKOUTS = (
    "\n\ndata: [DONE]\n\n",
    "\r\n\r\nevent: error\r\ndata: {}\r\n\r\n",
    "\r\rdata: x\r\r",
    'x"}}]}\n\ndata: {"choices":[{"delta":{"content":"evil"}}]}\n\n',
    "\x00\x0b\x0c\x1c\x1e\u0085\u2028data: evil\u2029\ufeff",
    "\\n\\ndata: evil\\n\\n",
)


@pytest.mark.parametrize("text", BREAKOUTS)
def test_a_text_of_a_model_stays_one_text_of_the_stream(mock: MockModel, text: str) -> None:
    parts = ["a", text, *text, "z"]
    with serving(embedded(Parrot(parts))) as served:
        _, body = served.ask("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        events, found = streamed(body)
        assert found == "".join(parts)
        assert events.count(b"[DONE]") == 1
        assert body.count(b"\n") == 2 * len(events)
        assert b"\r" not in body
    chunks = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in parts]
    said = b"".join(b"data: %b\n\n" % json.dumps(c).encode() for c in chunks) + b"data: [DONE]\n\n"
    mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
    with serving(to(mock)) as served:
        _, body = served.ask("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        assert streamed(body)[1] == "".join(parts)
        assert body.count(b"\n") == 2 * len(streamed(body)[0])


TEMPLATES = (
    "{{7*191}}", "{% for x in ().__class__.__base__.__subclasses__() %}{{x}}{% endfor %}",
    "${7*191}", "#{7*191}", "{0.__class__}", "%(name)s", "$(id)", "`id`", "<%= 7*191 %>",
    "{{ config }}", "{messages}", "{{messages[0].content}}", "\N{ZERO WIDTH SPACE}{{7*191}}",
)  # fmt: skip


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_message_or_a_task_input_is_never_a_template(mock: MockModel, text: str) -> None:
    parrot = Parrot(["ok"])
    with serving(embedded(parrot)) as served:
        messages = [{"role": role, "content": text} for role in ("system", "user")]
        served.ask("POST", "/v1/chat/completions", {"model": "m", "messages": messages})
        asked: Any = parrot.asked[0].request
        assert [m.content for m in asked.messages] == [text, text]
        served.ask("POST", "/v1/tasks/review", {"diff": text})
        assert served.engine.calls[0].input == {"diff": text}
    with serving(to(mock)) as served:
        served.ask("POST", "/v1/chat/completions", {"model": "m", "messages": messages})
        assert mock.requests[0]["messages"] == messages
        _, error = served.ask("POST", "/v1/chat/completions", {"model": text, "messages": messages})
        assert "1337" not in json.dumps(error)


STRING: dict[str, Any] = {"type": "string"}
MILLION = 1_000_000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 1000 * MILLION},
        {"type": "string", "maxLength": 1e9},
        {"type": "array", "minItems": MILLION, "items": STRING},
        {"anyOf": [{"type": "object", "minProperties": MILLION}]},
        {"type": "array", "minItems": 40, "items": {"type": "array", "minItems": 40}},
        {"type": "string", "pattern": "a{1000000}"},
        {"type": "string", "pattern": "((a{20}){20}){20}"},
        {"type": "array", "minItems": 100, "items": {"type": "string", "pattern": "a{1,100}"}},
        {"type": "object", "patternProperties": {"^(a{100}){100}$": STRING}},
        {"type": "string", "pattern": "(a|b)*" * 100},
        {"anyOf": [{"pattern": f"{n}"} for n in range(100)]},
        {"enum": ["x"] * 5000},
        {"type": "object", "properties": {f"p{n}": STRING for n in range(2000)}},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"$dynamicRef": "https://evil.example/"},
        {"x-guidance": {"whitespace_pattern": "a{1000000}"}},
        {"%llguidance": {}},
    ],
    ids=lambda schema: json.dumps(schema)[:60],
)
def test_a_schema_that_would_take_all_memory_or_fetch_something_reaches_no_model(
    schema: dict[str, Any],
) -> None:
    parrot = Parrot(["{}"])
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    with serving(embedded(parrot)) as served:
        body = {**CHAT, "response_format": wanted}
        response, error = served.ask("POST", "/v1/chat/completions", body)
        assert (response.status, error["error"]["code"]) == (400, "invalid-input")
        assert parrot.asked == []


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": STRING}},
        {"type": "array", "minItems": 3, "maxItems": 100, "items": {"maxLength": 10}},
        {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        {"patternProperties": 5, "pattern": None, "properties": {"pattern": STRING}},
        {"properties": {"minLength": {"type": "integer"}, "$ref": {"type": "string"}}},
    ],
    ids=lambda schema: json.dumps(schema)[:60],
)
def test_a_harmless_schema_reaches_the_model_as_it_is(schema: dict[str, Any]) -> None:
    parrot = Parrot(["{}"])
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    with serving(embedded(parrot)) as served:
        body = {**CHAT, "response_format": wanted}
        assert served.ask("POST", "/v1/chat/completions", body)[0].status == 200
        asked: Any = parrot.asked[0].request
        assert asked.schema == schema


class Refusing(Parrot):
    """A model that cannot be held to any schema."""

    async def infer(self, dispatch: Dispatch) -> Result:
        raise RequestRefused("no text can be held to this", hint="leave out lookaheads")


def test_a_schema_that_no_text_can_be_held_to_is_the_clients_mistake_and_not_ours() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "poem"}}}
    with serving(embedded(Refusing([]))) as served:
        for stream in (False, True):
            body = {**CHAT, "response_format": wanted, "stream": stream}
            response, error = served.ask("POST", "/v1/chat/completions", body)
            assert (response.status, error["error"]["code"]) == (400, "request-refused")
            assert "lookaheads" in error["error"]["message"]


def places(text: str) -> dict[str, dict[str, Any]]:
    """Return bodies with a text in each place that a model may see."""
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": f'{{"a":"{text}"}}'},
    }
    tool = {"name": "f", "description": text, "parameters": {"properties": {"x": {"const": text}}}}
    user: Any = CHAT["messages"][0]
    return {
        "content": {**CHAT, "messages": [{"role": "user", "content": f"use {text} now"}]},
        "part": {**CHAT, "messages": [
            {"role": "user", "content": [{"type": "text", "text": text}]}]},
        "tool answer": {**CHAT, "messages": [{"role": "tool", "content": text}]},
        "tool call": {**CHAT, "messages": [{"role": "assistant", "tool_calls": [call]}]},
        "function call": {**CHAT, "messages": [
            {"role": "assistant", "function_call": call["function"]}]},
        "name": {**CHAT, "messages": [{**user, "name": text}]},
        "reasoning": {**CHAT, "messages": [{"role": "assistant", "reasoning_content": text}]},
        "refusal": {**CHAT, "messages": [{"role": "assistant", "refusal": text}]},
        "tools": {**CHAT, "tools": [{"type": "function", "function": tool}]},
        "schema": {**CHAT, "response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "schema": {"description": text}}}},
        "metadata": {**CHAT, "metadata": {"a": text}},
        "metadata name": {**CHAT, "metadata": {text: "a"}},
        "stop": {**CHAT, "stop": [text]},
        "user": {**CHAT, "user": text},
    }  # fmt: skip


@pytest.mark.parametrize("place", places(""))
def test_a_secret_in_any_place_of_a_request_does_not_reach_the_model(
    mock: MockModel, place: str
) -> None:
    mock.answer = saying("{}") if place == "schema" else None
    with serving(to(mock), controls=guarding()) as served:
        response, _ = served.ask("POST", "/v1/chat/completions", places(TOKEN)[place])
        assert response.status == 200
        assert TOKEN not in json.dumps(mock.requests)
        assert "<secret:" in json.dumps(mock.requests)
        served.noted()
        assert "github" in json.dumps(served.engine.notes[0][3]["findings"])
        harmless = places("nothing to see")[place]
        served.ask("POST", "/v1/chat/completions", harmless)
        assert {k: v for k, v in mock.requests[1].items() if k != "model"} == {
            k: v for k, v in harmless.items() if k != "model"
        }


def test_models_inside_the_process_answer_through_the_guards_too() -> None:
    parts = ["the token ", TOKEN[:9], TOKEN[9:20], TOKEN[20:], " is", " here"]
    with serving(embedded(Parrot(parts)), controls=guarding()) as served:
        _, whole = served.ask("POST", "/v1/chat/completions", CHAT)
        text = whole["choices"][0]["message"]["content"]
        assert TOKEN not in text
        assert text.startswith("the token <secret:")
        _, body = served.ask("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        assert streamed(body)[1] == text
        assert b"[DONE]" in body
    with serving(
        embedded(Parrot(["it is ", CANARY[:5], CANARY[5:]])), controls=guarding()
    ) as served:
        response, _ = served.ask("POST", "/v1/chat/completions", CHAT)
        assert response.status == 502
        _, body = served.ask("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        assert CANARY.encode() not in body.replace(b"\n", b"")
        assert b"guard-blocked" in body
        assert b"[DONE]" not in body


@pytest.mark.parametrize(
    "said",
    [
        '{"choices":[{"message":{"content":["T"]}}]}',
        '{"choices":[{"message":"T"}]}',
        '{"choices":{"0":{"message":{"content":"T"}}}}',
        '{"choices":["T"]}',
        '{"choices":[{"message":{"content":"fine"},"text":"T"}]}',
        '{"choices":[{"message":{"content":"T","content":"fine"}}]}',
        '{"choices":[{"message":{"content":"T"}}],"choices":[]}',
        '{"choices":[],"error":{"message":"T"}}',
        '"T"',
        '["T"]',
    ],
)
def test_an_answer_of_another_shape_takes_no_secret_past_the_guards(
    mock: MockModel, said: str
) -> None:
    text = said.replace("T", TOKEN).encode()
    with serving(to(mock), controls=guarding()) as served:
        for stream in (False, True):
            body = b"data: %b\n\ndata: [DONE]\n\n" % text if stream else text
            mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            asked = {**CHAT, "stream": stream}
            response, answer = served.ask("POST", "/v1/chat/completions", asked)
            shown = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            assert TOKEN.encode() not in shown, (stream, response.status)


def test_what_an_upstream_says_of_its_failure_is_neither_shown_nor_logged(
    mock: MockModel, caplog: pytest.LogCaptureFixture
) -> None:
    said = json.dumps({"error": {"message": f"bad key {TOKEN}: prompt was 'hi'"}}).encode()
    with serving(to(mock)) as served:
        for code in (500, 401, 403, 302, 503):
            mock.answer = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (code, len(said), said)
            response, body = served.ask("POST", "/v1/chat/completions", CHAT)
            assert response.status == 502
            assert TOKEN not in json.dumps(body)
    assert "answered 401" in caplog.text
    assert TOKEN not in caplog.text


def two_teams() -> dict[str, ServerKey]:
    return {
        name: ServerKey(
            sha256=hashlib.sha256(name.encode()).hexdigest(),
            team=name,
            scopes=("model:*", "task:*"),
        )
        for name in ("blue", "red")
    }


def test_no_header_or_member_lets_one_team_see_what_another_asked(mock: MockModel) -> None:
    cache = exact_cache(ServerSettings(cache=CacheSettings(ttl_s=60)))
    with serving(to(mock), keys=two_teams(), controls=Controls(cache=cache)) as served:

        def state(key: str, body: dict[str, Any], **headers: str) -> str:
            sent = {"Authorization": f"Bearer {key}", **headers}
            response, _ = served.ask("POST", "/v1/chat/completions", body, sent)
            return str(response.headers["x-lockgate-cache"])

        assert [state("blue", CHAT), state("blue", CHAT)] == ["miss", "hit"]
        tried: tuple[dict[str, str], ...] = (
            {"X-Team": "blue"}, {"X-Forwarded-User": "blue"}, {"Cookie": "team=blue"},
            {"Idempotency-Key": "blue"}, {"X-Lockgate-Data-Class": "internal"},
        )  # fmt: skip
        first, *rest = [state("red", CHAT, **headers) for headers in tried]
        assert first == "miss"  # its own answer, which the rest hit
        assert set(rest) == {"hit"}
        assert len(mock.requests) == 2
        assert state("red", {**CHAT, "user": "blue"}) == "miss"


def test_an_idempotency_key_or_a_call_of_another_team_tells_nothing() -> None:
    with serving(keys=two_teams()) as served:

        def call(team: str, diff: str, **headers: str) -> tuple[Any, Any]:
            sent = {"Authorization": f"Bearer {team}", "Idempotency-Key": "k1", **headers}
            return served.ask("POST", "/v1/tasks/review", {"diff": diff}, sent)

        response, mine = call("blue", "eval(secret)", Prefer="respond-async")
        assert response.status == 202
        theirs, answer = call("red", "another")
        assert (theirs.status, answer["risk"]) == (200, "low")
        assert theirs.headers["x-lockgate-cache"] == "none"
        assert call("red", "a third")[0].status == 422  # its own key, and no word of blue's
        assert len(served.engine.calls) == 2
        for path in (mine["url"], mine["url"].replace(mine["id"], "0" * 32)):
            got, error = served.ask("GET", path, None, {"Authorization": "Bearer red"})
            assert got.status == 404
            assert "of yours" in error["error"]["message"]


def test_a_call_of_a_task_is_of_the_class_that_its_client_says_if_that_is_stricter() -> None:
    with serving() as served:
        for said in ("confidential", "public", "internal"):
            served.ask("POST", "/review", b"diff", {"X-Lockgate-Data-Class": said})
        classes = [str(call.data_class) for call in served.engine.calls]
        assert classes == ["confidential", "internal", "internal"]
        response, _ = served.ask("POST", "/review", b"diff", {"X-Lockgate-Data-Class": "none"})
        assert response.status == 400


def steps(gate: Authenticator, secret: str) -> list[tuple[str, int]]:
    """Return the lines of ours that run while a secret is looked up."""
    found: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if "lockgate" not in frame.f_code.co_filename:
            return None
        if event == "line":
            found.append((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        gate.authenticate(None, secret.encode())
    except Unauthenticated:
        pass
    finally:
        sys.settrace(before)
    return found


def test_no_secret_that_is_refused_takes_another_path_than_the_others() -> None:
    gate = Authenticator(clock=lambda: NOW, pepper=b"p" * 32)
    keys, secrets = [], []
    for name in ("known", "expired", "revoked", "retired"):
        keys.append(
            GatewayKey(
                id=name,
                team="core",
                roles=frozenset({Role.CALLER}),
                scopes=frozenset(),
                created_at=NOW - timedelta(days=1),
                created_by="core/admin",
                expires_at=NOW if name == "expired" else None,
                revoked_at=NOW if name == "revoked" else None,
            )
        )
        ends = NOW if name == "retired" else None
        stored = digest(f"lgk_{name}".encode()).hex()
        secrets.append(KeySecret(digest=stored, key=name, created_at=NOW, expires_at=ends))
    gate.load(keys, secrets)
    tried = ("expired", "revoked", "retired", "nobody", "know", "knownn", "", "x" * 5000)
    paths = {tuple(steps(gate, f"lgk_{name}")) for name in tried}
    assert len(paths) == 1
    (refused,) = paths
    assert len(refused) > 10
    looked_up = [line for line in refused if line[0].endswith("table.py")]
    known = [line for line in steps(gate, "lgk_known") if line[0].endswith("table.py")]
    assert known == looked_up


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 10**30, "completion_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": 2**63},
        {"prompt_tokens": -(10**30)},
        {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 10**30}},
        {"prompt_tokens": 1.5},
    ],
    ids=str,
)
def test_an_upstream_that_lies_about_its_tokens_does_not_end_the_books(
    mock: MockModel, usage: dict[str, Any]
) -> None:
    """One such number in the ledger's batch, and nothing was booked or audited any more."""
    with serving(to(mock)) as served:
        body = json.dumps({"choices": [], "usage": usage}).encode()
        mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        assert served.ask("POST", "/v1/chat/completions", CHAT)[0].status == 502
        chunk = b"data: %b\n\n" % body
        mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(chunk), chunk)
        response, _ = served.ask("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        assert response.status == 502
        counted: list[Any] = [note[3]["usage"] for note in served.engine.notes]
        assert all(abs(n) <= 2**31 for row in counted for n in row.values())
