"""Limits, budgets, guards, cache, breaker, retries, fallbacks and the kill switch, over HTTP."""

import asyncio
import hashlib
import json
import socket
import time
from collections.abc import Generator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.app.gateway_controls import (
    Controls,
    Switch,
    breakers,
    exact_cache,
    guards,
)
from lockgate.app.gateway_limits import rate_limits
from lockgate.app.gateway_models import ServedModel
from lockgate.config.gateway_settings import CacheSettings, RateLimit, ServerKey, ServerSettings
from lockgate.config.guard_settings import GuardClassSettings, GuardSettings
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action
from lockgate.traffic.concurrency import FixedConcurrency
from lockgate.traffic.kill_switch import Kill, Kills, Leaves, Scope
from lockgate.traffic.queue import Queue, QueueSettings
from lockgate.traffic.retry_budget import RetryBudget
from server.serving import CHAT, Served, serving, to, upstream
from upstream.mock_model import WORDS, MockModel, mock_model
from waiting import wait_until

FAILS = b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}"
# Made up; it has the form and no owner.
TOKEN = "ghp_" + "R4nD0mL00k1ngT0k3nV4lu3F0rT3st1ng9xQ"


def chat(served: Served, content: str = "hi", **more: Any) -> tuple[Any, Any]:
    messages = [{"role": "user", "content": content}]
    return served.ask("POST", "/v1/chat/completions", {**CHAT, "messages": messages, **more})


def guarding(**row: Any) -> Controls:
    chosen = GuardClassSettings(**row)
    return Controls(
        guards=guards(GuardSettings(public=chosen, internal=chosen, confidential=chosen))
    )


def test_a_limit_in_requests_says_when_to_come_again(mock: MockModel) -> None:
    controls = Controls(limits=rate_limits({"team:local": RateLimit(requests_per_minute=2)}))
    with serving(to(mock), controls=controls) as served:
        first, _ = chat(served)
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        chat(served)
        third, body = chat(served)
        assert (third.status, body["error"]["code"]) == (429, "rate-limited")
        assert body["error"]["type"] == "rate_limit_error"
        assert 1 <= int(third.headers["retry-after"]) <= 31
        assert third.headers["x-should-retry"] is None
        assert len(mock.requests) == 2
        wait_until(lambda: len(served.engine.notes) == 3)
        detail = served.engine.notes[2][3]
        assert (detail["status"], detail["error"]) == (429, "rate-limited")


def test_a_limit_in_tokens_counts_what_was_used(mock: MockModel) -> None:
    limit = RateLimit(tokens_per_minute=400)
    controls = Controls(limits=rate_limits({"key:*": limit}))
    with serving(to(mock), controls=controls) as served:
        for _ in range(5):  # 11 tokens each, though more than 100 were taken at first
            assert chat(served, max_tokens=100)[0].status == 200
        assert chat(served, max_tokens=500)[0].status == 429


def test_what_is_turned_off_is_not_asked(mock: MockModel) -> None:
    switch = Switch()
    switch.now = Kills((Kill(scope=Scope.MODEL, name="m", reason="leak", actor="a", at="now"),))
    with serving(to(mock), controls=Controls(switch=switch)) as served:
        response, body = chat(served)
        assert (response.status, body["error"]["code"]) == (503, "turned-off")
        assert response.headers["x-should-retry"] == "false"
        switch.now = Kills((Kill(scope=Scope.ALL, reason="fire", actor="a", at="now"),))
        assert chat(served)[0].status == 503
        switch.now = Kills()
        assert chat(served)[0].status == 200


def test_a_model_that_is_turned_off_leaves_the_rest_of_its_chain(mock: MockModel) -> None:
    switch = Switch()
    settings_ = ServerSettings(fallbacks={"m": ("spare",)})
    off = Kill(scope=Scope.MODEL, name="m", reason="leak", actor="a", at="now")
    switch.now = Kills((off,))
    controls = Controls(switch=switch)
    with (
        mock_model() as other,
        serving(to(mock, spare=other), settings=settings_, controls=controls) as served,
    ):
        assert chat(served)[0].status == 200
        assert (len(mock.requests), len(other.requests)) == (0, 1)
        assert served.noted()[3]["passed_over"] == ["m: turned-off"]
        switch.now = Kills((off, replace(off, name="spare")))
        assert chat(served)[0].status == 503
        switch.now = Kills((replace(off, name="spare"),))
        mock.answer = FAILS
        assert chat(served)[0].status == 502
        assert len(other.requests) == 1


def test_a_task_that_is_turned_off_leaves_its_rules_or_nothing() -> None:
    switch = Switch()

    def off(leaves: Leaves) -> Kills:
        kill = Kill(scope=Scope.TASK, name="review", leaves=leaves, reason="r", actor="a", at="now")
        return Kills((kill,))

    with serving(controls=Controls(switch=switch)) as served:
        switch.now = off(Leaves.RULES)
        response, _ = served.ask("POST", "/review?engine=model", b"diff")
        assert (response.status, response.headers["x-lockgate-engine"]) == (200, "rules")
        switch.now = off(Leaves.NOTHING)
        response, body = served.ask("POST", "/review?engine=model", b"diff")
        assert (response.status, body["error"]["code"]) == (503, "turned-off")


def test_a_task_counts_against_its_callers_limits() -> None:
    controls = Controls(limits=rate_limits({"route:*": RateLimit(requests_per_minute=1)}))
    with serving(controls=controls) as served:
        assert served.ask("POST", "/review", b"diff")[0].status == 200
        assert served.ask("POST", "/review", b"diff")[0].status == 429


def test_what_cannot_be_in_time_behind_a_busy_backend_is_shed(mock: MockModel) -> None:
    mock.hang_after = 9
    one = Queue(FixedConcurrency(1), QueueSettings(), clock=time.perf_counter)
    with serving(to(mock), controls=Controls(queues={"there": one})) as served:
        with socket.create_connection(("127.0.0.1", served.port)) as first:
            body = json.dumps(CHAT).encode()
            first.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            assert mock.asked.wait(5)
            patience = {"X-Lockgate-Deadline-Ms": "500"}
            response, answer = served.ask("POST", "/v1/chat/completions", CHAT, patience)
            assert (response.status, answer["error"]["code"]) == (503, "overloaded")
        mock.hang_after = None
        assert chat(served)[0].status == 200


def test_a_model_that_is_off_leaves_the_rest_of_its_chain_and_is_no_fallback(
    mock: MockModel,
) -> None:
    off = Kill(scope=Scope.MODEL, name="m", reason="leak", actor="a", at="now")
    switch = Switch()
    settings = ServerSettings(fallbacks={"m": ("n",)})
    with (
        mock_model() as other,
        serving(to(mock, n=other), controls=Controls(switch=switch), settings=settings) as served,
    ):
        switch.now = Kills((off,))
        assert chat(served)[0].status == 200
        assert (len(mock.requests), len(other.requests)) == (0, 1)
        mock.answer = FAILS
        switch.now = Kills((replace(off, name="n"),))
        response, body = chat(served)
        assert (response.status, body["error"]["code"]) == (502, "upstream-failed")
        switch.now = Kills((Kill(scope=Scope.ALL, reason="fire", actor="a", at="now"),))
        assert chat(served)[0].status == 503
        assert len(other.requests) == 1


def test_equal_requests_of_one_team_share_an_answer_and_others_do_not(mock: MockModel) -> None:
    cached = ServerSettings(cache=CacheSettings(ttl_s=60))
    with serving(to(mock), controls=Controls(cache=exact_cache(cached))) as served:
        first, one = chat(served)
        second, two = chat(served)
        assert one == two
        states = [r.headers["x-lockgate-cache"] for r in (first, second)]
        assert states == ["miss", "hit"]
        other, _ = chat(served, temperature=0.1)
        assert other.headers["x-lockgate-cache"] == "miss"
        assert len(mock.requests) == 2


def test_an_answer_that_the_guards_changed_is_not_kept(mock: MockModel) -> None:
    cached = exact_cache(ServerSettings(cache=CacheSettings(ttl_s=60)))
    assert cached is not None
    with serving(to(mock), controls=replace(guarding(), cache=cached)) as served:
        says(mock, f"use {TOKEN} now")
        for _ in range(2):
            assert chat(served)[0].headers["x-lockgate-cache"] == "miss"
        assert len(cached) == 0


def test_the_cache_of_one_team_says_nothing_to_another(mock: MockModel) -> None:
    keys = {
        name: ServerKey(
            sha256=hashlib.sha256(name.encode()).hexdigest(), team=name, scopes=("model:*",)
        )
        for name in ("blue", "red")
    }
    cached = exact_cache(ServerSettings(cache=CacheSettings(ttl_s=60)))
    with serving(to(mock), keys=keys, controls=Controls(cache=cached)) as served:

        def state(key: str) -> Any:
            headers = {"Authorization": f"Bearer {key}"}
            response, _ = served.ask("POST", "/v1/chat/completions", CHAT, headers)
            return response.headers["x-lockgate-cache"]

        assert [state("blue"), state("blue"), state("red")] == ["miss", "hit", "miss"]


def test_secrets_that_were_sent_are_nowhere_afterwards(
    mock: MockModel, caplog: pytest.LogCaptureFixture
) -> None:
    cached = exact_cache(ServerSettings(cache=CacheSettings(ttl_s=60)))
    assert cached is not None
    with serving(to(mock), controls=replace(guarding(), cache=cached)) as served:
        seeded = [f"ghp_{hashlib.sha256(b'%d' % n).hexdigest()[:36]}" for n in range(200)]
        for secret in seeded:
            chat(served, f"the token is {secret} today")
        _, metrics = served.ask("GET", "/metrics")
        kept = b"".join(entry.body for entry in cached._kept.values())
        seen = json.dumps([mock.requests, served.engine.notes]).encode() + metrics + kept
        everything = seen + caplog.text.encode()
        assert [secret for secret in seeded if secret.encode() in everything] == []


def test_a_failed_answer_is_not_kept(mock: MockModel) -> None:
    mock.answer = FAILS
    cached = ServerSettings(cache=CacheSettings(ttl_s=60))
    with serving(to(mock), controls=Controls(cache=exact_cache(cached))) as served:
        assert chat(served)[0].status == 502
        mock.answer = None
        assert chat(served)[0].headers["x-lockgate-cache"] == "miss"


def test_a_failing_upstream_is_asked_again_within_the_budget_and_then_left_alone(
    mock: MockModel,
) -> None:
    mock.answer = FAILS
    controls = Controls(breakers=breakers({"there": 30.0}), retries=RetryBudget())
    with serving(to(mock), controls=controls) as served:
        answers = [chat(served) for _ in range(40)]
        assert {response.status for response, _ in answers} == {502, 503}
        assert len(mock.requests) < 40
        last, body = answers[-1]
        assert body["error"]["code"] == "overloaded"
        assert int(last.headers["retry-after"]) >= 1


def test_another_model_answers_where_one_cannot(mock: MockModel) -> None:
    mock.answer = FAILS
    with mock_model() as other:
        settings_ = ServerSettings(fallbacks={"m": ("spare",)})
        with serving(to(mock, spare=other), settings=settings_) as served:
            for stream in (False, True):
                response, _ = chat(served, stream=stream)
                assert response.status == 200
            assert served.noted()[3]["passed_over"] == ["m: upstream-failed"]
            assert len(other.requests) == 2


def test_a_fallback_never_takes_data_where_it_may_not_go(mock: MockModel) -> None:
    mock.answer = FAILS
    with mock_model() as other:

        async def models() -> dict[str, ServedModel]:
            public = frozenset({DataClass.PUBLIC})
            spare = replace(upstream("spare", other.port), data_classes=public)
            return {"m": upstream("m", mock.port), "spare": spare}

        settings_ = ServerSettings(fallbacks={"m": ("spare",)})
        with serving(models, settings=settings_) as served:
            assert chat(served)[0].status == 403
            assert other.requests == []


@pytest.mark.parametrize("rest", ["", " and so on" * 5000], ids=["short", "long"])
def test_a_secret_does_not_reach_the_model_nor_the_audit_log(mock: MockModel, rest: str) -> None:
    with serving(to(mock), controls=guarding()) as served:
        assert chat(served, f"token {TOKEN} here{rest}")[0].status == 200
        sent = mock.requests[0]["messages"][0]["content"]
        assert TOKEN not in sent
        assert sent.startswith("token <secret:")
        note = served.noted()
        assert TOKEN not in json.dumps(note)
        assert isinstance(note[3]["findings"], dict)
        assert list(note[3]["findings"].values()) == [1]


@pytest.mark.parametrize("before", ["", "and so on " * 5000], ids=["short", "long"])
def test_a_blocked_request_is_refused_and_names_the_rule(mock: MockModel, before: str) -> None:
    with serving(to(mock), controls=guarding(secrets=Action.BLOCK)) as served:
        response, body = chat(served, f"{before}token {TOKEN}")
        assert (response.status, body["error"]["code"]) == (400, "guard-blocked")
        assert TOKEN not in json.dumps(body)
        assert mock.requests == []


def says(mock: MockModel, text: str) -> None:
    message = {"role": "assistant", "content": text}
    body = json.dumps({"choices": [{"index": 0, "message": message}]}).encode()
    mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def streams(mock: MockModel, parts: list[str]) -> None:
    events = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in parts]
    body = b"".join(b"data: %b\n\n" % json.dumps(e).encode() for e in events) + b"data: [DONE]\n\n"
    mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def streamed(body: bytes) -> str:
    chunks = [json.loads(e[6:]) for e in body.split(b"\n\n") if e and e != b"data: [DONE]"]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)


def test_a_secret_that_a_model_writes_does_not_come_out(mock: MockModel) -> None:
    with serving(to(mock), controls=guarding()) as served:
        says(mock, f"use {TOKEN} now")
        _, body = chat(served)
        assert TOKEN not in json.dumps(body)
        assert body["choices"][0]["message"]["content"].endswith(" now")


@pytest.fixture(scope="module")
def guarded() -> Generator[tuple[MockModel, Served]]:
    with mock_model() as found, serving(to(found), controls=guarding()) as served:
        yield found, served


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(0, 60), max_size=12))
def test_however_a_stream_is_cut_its_text_is_that_of_the_whole(
    guarded: tuple[MockModel, Served], cuts: list[int]
) -> None:
    mock, served = guarded
    text = f"Use {TOKEN} for now, then rotate it."
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    streams(mock, [text[a:b] for a, b in pairwise(places)])
    _, body = chat(served, stream=True)
    assert body.endswith(b"data: [DONE]\n\n")
    found = streamed(body)
    assert TOKEN not in found
    says(mock, text)
    assert found == chat(served)[1]["choices"][0]["message"]["content"]


def test_personal_data_comes_back_in_the_place_of_its_placeholder(mock: MockModel) -> None:
    controls = guarding(personal=Action.REDACT, restore_personal=True)
    with serving(to(mock), controls=controls) as served:
        chat(served, "write to jane.doe@firma.de")
        sent = mock.requests[0]["messages"][0]["content"]
        hidden = sent.removeprefix("write to ")
        assert "jane" not in sent
        says(mock, f"I wrote to {hidden}.")
        _, body = chat(served, "write to jane.doe@firma.de")
        assert body["choices"][0]["message"]["content"] == "I wrote to jane.doe@firma.de."


def test_a_stream_under_guards_is_booked_and_whole(mock: MockModel) -> None:
    with serving(to(mock), controls=guarding()) as served:
        _, body = chat(served, stream=True)
        assert streamed(body) == "".join(WORDS)
        assert served.noted()[3]["usage"] == {"input_tokens": 7, "output_tokens": 4}


def test_metrics_count_what_happened_and_hold_no_content(mock: MockModel) -> None:
    with serving(to(mock), controls=guarding()) as served:
        chat(served, f"token {TOKEN}")
        served.noted()
        _, page = served.ask("GET", "/metrics")
        text = page.decode()
        assert 'lockgate_requests_total{route="chat",code="200"} 1' in text
        assert 'lockgate_upstream_calls_total{upstream="there",result="ok"} 1' in text
        assert TOKEN not in text


def test_a_call_that_fails_before_it_is_made_costs_no_tokens(mock: MockModel) -> None:
    async def models() -> dict[str, ServedModel]:
        await asyncio.sleep(0)
        return {"m": replace(upstream("m", mock.port), data_classes=frozenset())}

    controls = Controls(limits=rate_limits({"team:local": RateLimit(tokens_per_minute=5000)}))
    with serving(models, controls=controls) as served:
        for _ in range(10):
            assert chat(served)[0].status == 403
