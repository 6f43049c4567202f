"""Limits and the kill switch, as a client meets them."""

from collections.abc import Generator

import pytest

from lockgate.traffic.bucket import Limit
from lockgate.traffic.kill_switch import Kill, Kills, Leaves, Scope
from lockgate.traffic.rate_limits import Limits
from server.serving import open_desk, serving
from server.test_passing import CHAT, chat, to
from upstream.mock_model import MockModel, mock_model

OFF = Kill(
    scope=Scope.MODEL,
    name="m",
    leaves=Leaves.NOTHING,
    reason="it leaks",
    actor="ana",
    at="2026-11-21T12:00:00Z",
)


@pytest.fixture
def mock() -> Generator[MockModel]:
    with mock_model() as found:
        yield found


def requests(amount: int) -> Limits:
    return Limits(requests=Limit(amount=amount, burst=amount, per_s=3600))


def tokens(amount: int) -> Limits:
    return Limits(tokens=Limit(amount=amount, burst=amount, per_s=3600))


def test_the_third_of_two_requests_is_refused_and_says_when_to_come_again(mock: MockModel) -> None:
    with serving(to(mock), desk=open_desk({"key:*": requests(2)})) as served:
        first, _ = chat(served)
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert chat(served)[0].status == 200

        response, body = chat(served)

        assert response.status == 429
        assert body["error"]["code"] == "rate-limited"
        assert body["error"]["type"] == "rate_limit_error"
        assert 1 <= int(response.headers["retry-after"]) <= 1800
        assert response.headers["x-ratelimit-remaining-requests"] == "0"
        assert len(mock.requests) == 2


def test_tokens_that_an_answer_did_not_use_are_given_back(mock: MockModel) -> None:
    with serving(to(mock), desk=open_desk({"route:chat": tokens(200)})) as served:
        # 100 each are held, and 11 are used
        found = [chat(served, max_tokens=100)[0] for _ in range(5)]
        assert [response.status for response in found] == [200] * 5
        left = int(found[-1].headers["x-ratelimit-remaining-tokens"])
        assert left < 200 - 4 * 11


def test_a_request_that_is_larger_than_its_limit_is_never_told_to_wait(mock: MockModel) -> None:
    with serving(to(mock), desk=open_desk({"team:local": tokens(50)})) as served:
        response, body = chat(served, max_tokens=100)
        assert response.status == 429
        assert "never" in body["error"]["message"]
        assert response.headers["retry-after"] is None
        assert not mock.requests


def test_a_stream_settles_what_it_used(mock: MockModel) -> None:
    with serving(to(mock), desk=open_desk({"key:local": tokens(170)})) as served:
        assert chat(served, max_tokens=100, stream=True)[0].status == 200
        served.noted()  # after it was settled
        response, _ = chat(served, max_tokens=100)
        assert response.status == 200


def test_a_call_that_the_upstream_refused_uses_no_tokens(mock: MockModel) -> None:
    mock.answer = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
    with serving(to(mock), desk=open_desk({"key:local": tokens(130)})) as served:
        for _ in range(3):
            assert chat(served, max_tokens=100)[0].status == 502


def test_a_model_that_is_turned_off_says_by_whom_and_why(mock: MockModel) -> None:
    with serving(to(mock), desk=open_desk(kills=Kills((OFF,)))) as served:
        response, body = chat(served)
        assert response.status == 503
        assert body["error"]["code"] == "turned-off"
        assert "`ana`" in body["error"]["message"]
        assert "it leaks" in body["error"]["message"]
        assert not mock.requests


def test_when_everything_is_off_no_model_answers(mock: MockModel) -> None:
    everything = Kill(
        scope=Scope.ALL, leaves=Leaves.RULES, reason="incident", actor="ana", at=OFF.at
    )
    with serving(to(mock), desk=open_desk(kills=Kills((everything,)))) as served:
        assert chat(served)[0].status == 503
        other, _ = served.ask("POST", "/v1/chat/completions", {**CHAT, "model": "unknown"})
        assert other.status == 404
