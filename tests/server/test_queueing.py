"""The queue in front of each backend, over HTTP: bounds, classes, priorities, deadlines, sheds."""

import json
import socket
import time
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_models import ServedModel
from lockgate.app.gateway_queues import Urgencies, queue_of
from lockgate.config.gateway_settings import UrgencySettings
from lockgate.config.settings import (
    LinearBackend,
    LlamaCppBackend,
    OnnxBackend,
    OpenAIBackend,
    UpstreamLimits,
    WaitingSettings,
)
from lockgate.traffic.concurrency import FixedConcurrency
from lockgate.traffic.queue import Queue, QueueSettings
from server.serving import Models, Served, serving, upstream
from upstream.mock_model import MockModel, mock_model

MANY = 30
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}


def to(mock: MockModel) -> Models:
    async def models() -> dict[str, ServedModel]:
        return {"m": upstream("m", mock.port)}

    return models


@dataclass
class Held:
    """A gateway whose upstream has one place, and a stream in that place that waits."""

    served: Served
    mock: MockModel
    queue: Queue
    pool: ThreadPoolExecutor
    order: list[str] = field(default_factory=list[str])

    def ask(self, name: str, **headers: str) -> "Future[tuple[Any, Any]]":
        """Ask from another thread, and return when the request waits or has its answer."""
        before = self.queue.waiting
        body = {**CHAT, "messages": [{"role": "user", "content": name}]}
        found = self.pool.submit(
            self.served.ask, "POST", "/v1/chat/completions", body, _named(headers)
        )
        until = time.monotonic() + 5
        while self.queue.waiting == before and not found.done():
            assert time.monotonic() < until
            time.sleep(0.001)
        return found

    def release(self) -> None:
        self.mock.hang_after = None
        self.mock.release()

    @property
    def answered(self) -> list[str]:
        """The names of the requests in the order in which they reached the upstream."""
        return [request["messages"][0]["content"] for request in self.mock.requests[1:]]


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {f"x-lockgate-{name.replace('_', '-')}": value for name, value in headers.items()}


@contextmanager
def held(
    *, waiting: int = MANY, tokens: int = 10_000, urgency: UrgencySettings | None = None
) -> Generator[Held]:
    settings = QueueSettings(most_tokens=tokens, most_waiting=waiting)
    queue = Queue(FixedConcurrency(1), settings, clock=time.perf_counter)
    controls = Controls(
        queues={"there": queue},
        urgencies=Urgencies({"key:local": urgency} if urgency else {}),
    )
    with (
        mock_model() as mock,
        serving(to(mock), controls=controls) as served,
        ThreadPoolExecutor(MANY) as pool,
    ):
        mock.hang_after = 1
        first = pool.submit(served.ask, "POST", "/v1/chat/completions", {**CHAT, "stream": True})
        try:
            assert mock.asked.wait(5)
            yield Held(served, mock, queue, pool)
        finally:
            mock.hang_after = None
            mock.release()
            assert first.result(10)[0].status == 200


def test_what_has_no_place_waits_and_is_answered() -> None:
    with held() as at:
        waits = [at.ask(str(number)) for number in range(3)]
        assert (at.queue.waiting, len(at.mock.requests)) == (3, 1)
        at.release()
        assert [found.result(10)[0].status for found in waits] == [200] * 3
        assert at.answered == ["0", "1", "2"]
    assert (at.queue.in_flight, at.queue.waiting) == (0, 0)


def test_more_than_may_wait_is_shed_and_counted() -> None:
    with held(waiting=2) as at:
        waits = [at.ask(str(number)) for number in range(2)]
        response, body = at.ask("too much").result(10)
        assert (response.status, body["error"]["code"]) == (503, "overloaded")
        assert at.queue.waiting == 2
        at.release()
        assert [found.result(10)[0].status for found in waits] == [200] * 2
        _, page = at.served.ask("GET", "/metrics")
        assert b'lockgate_shed_total{upstream="there",klass="online"} 1' in page
        assert b'lockgate_concurrency_limit{upstream="there"} 1' in page


def test_the_higher_priority_goes_first_and_a_header_only_lowers_it() -> None:
    with held(urgency=UrgencySettings(priority=5)) as at:
        names = {"low": "1", "lower": "0", "usual": "", "greedy": "9"}
        waits = [
            at.ask(name, **({"priority": value} if value else {})) for name, value in names.items()
        ]
        at.release()
        assert [found.result(10)[0].status for found in waits] == [200] * 4
        assert at.answered == ["usual", "greedy", "low", "lower"]


def test_without_a_setting_no_header_makes_a_request_more_urgent() -> None:
    with held() as at:
        waits = [at.ask("first"), at.ask("second", priority="9")]
        at.release()
        assert [found.result(10)[0].status for found in waits] == [200] * 2
        assert at.answered == ["first", "second"]


def test_batch_requests_let_the_others_go_first() -> None:
    with held() as at:
        waits = [at.ask(f"b{n}", **{"class": "batch"}) for n in range(3)]
        waits += [at.ask(f"o{n}", **{"class": "online"}) for n in range(3)]
        at.release()
        assert [found.result(10)[0].status for found in waits] == [200] * 6
        assert set(at.answered[:4]) > {"o0", "o1", "o2"}


def test_who_is_batch_by_configuration_cannot_say_otherwise() -> None:
    with held(urgency=UrgencySettings(batch=True)) as at:
        wait = at.ask("says online", **{"class": "online"})
        _, page = at.served.ask("GET", "/metrics")
        assert b'lockgate_queue_requests{upstream="there",klass="batch"} 1' in page
        at.release()
        assert wait.result(10)[0].status == 200


def test_what_waits_until_its_deadline_is_shed() -> None:
    with held() as at:
        began = time.monotonic()
        response, body = at.ask("in a hurry", deadline_ms="60").result(10)
        assert (response.status, body["error"]["code"]) == (503, "overloaded")
        assert 0.05 <= time.monotonic() - began < 10
        assert len(at.mock.requests) == 1


def test_a_header_cannot_move_the_deadline_that_is_configured() -> None:
    with held(urgency=UrgencySettings(deadline_s=0.05)) as at:
        response, _ = at.ask("patient", deadline_ms="60000").result(10)
        assert response.status == 503


def test_a_shed_request_is_told_when_it_would_get_its_turn() -> None:
    with held(waiting=1) as at:
        for _ in range(50):
            at.queue.pace.completed(29, 2.0)
        wait = at.ask("waits")
        response, _ = at.ask("too much").result(10)
        # Half of what runs, and what waits: each takes about two seconds.
        assert 2 <= int(response.headers["retry-after"]) <= 4
        at.release()
        assert wait.result(10)[0].status == 200


def test_a_client_that_leaves_gives_its_place_up() -> None:
    with held() as at:
        body = json.dumps(CHAT).encode()
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", at.served.port)) as client:
            client.sendall(head % len(body) + body)
            _until(lambda: at.queue.waiting == 1)
        _until(lambda: at.queue.waiting == 0)
        wait = at.ask("stays")
        at.release()
        assert wait.result(10)[0].status == 200
        assert at.answered == ["stays"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("priority", "high"),
        ("priority", "-1"),
        ("priority", "1e3"),
        ("priority", "9" * 400),
        ("class", "urgent"),
        ("class", "Batch"),
        ("deadline_ms", "soon"),
        ("deadline_ms", "1.5"),
        ("deadline_ms", ""),
    ],
)
def test_a_header_that_is_none_is_refused(header: str, value: str) -> None:
    with mock_model() as mock, serving(to(mock)) as served:
        response, body = served.ask("POST", "/v1/chat/completions", CHAT, _named({header: value}))
        assert (response.status, body["error"]["code"]) == (400, "invalid-input")
        assert not mock.requests


def test_an_upstream_that_says_it_has_too_much_gets_less() -> None:
    backend = OpenAIBackend(kind="openai", url="http://127.0.0.1:1/v1")
    queue = queue_of(backend)
    assert queue is not None
    before = queue.limit
    with mock_model() as mock, serving(to(mock), controls=Controls(queues={"there": queue})) as at:
        assert at.ask("POST", "/v1/chat/completions", CHAT)[0].status == 200
        mock.answer = b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}"
        assert at.ask("POST", "/v1/chat/completions", CHAT)[0].status == 502
        assert queue.limit == before
        mock.answer = b"HTTP/1.1 429 X\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\n{}"
        response, _ = at.ask("POST", "/v1/chat/completions", CHAT)
        assert (response.status, response.headers["retry-after"]) == (429, "3")
        assert queue.limit < before


def test_a_backend_gets_as_much_at_a_time_as_it_is_made_for() -> None:
    def limit(backend: Any) -> int | None:
        queue = queue_of(backend)
        return None if queue is None else queue.limit

    url = "http://127.0.0.1:1/v1"
    few = UpstreamLimits(connections=4)
    chosen = UpstreamLimits(concurrency=9)
    both = UpstreamLimits(connections=4, concurrency=9)
    assert limit(LlamaCppBackend()) == 1
    assert limit(OnnxBackend(workers=3)) == 3
    assert limit(LinearBackend()) is None
    assert limit(OpenAIBackend(kind="openai", url=url)) == 64
    assert limit(OpenAIBackend(kind="openai", url=url, limits=few)) == 4
    assert limit(OpenAIBackend(kind="openai", url=url, limits=chosen)) == 9
    assert limit(OpenAIBackend(kind="openai", url=url, limits=both)) == 4
    none = OpenAIBackend(kind="openai", url=url, queue=WaitingSettings(requests=0))
    assert queue_of(none) is not None


def test_the_row_of_a_key_counts_before_that_of_its_team() -> None:
    rows = {
        f"{kind}:{name}": UrgencySettings(priority=priority)
        for priority, (kind, name) in enumerate(
            [("key", "a"), ("team", "t"), ("key", "*"), ("team", "*")], start=1
        )
    }
    found = Urgencies(rows)
    assert [found.of(*who).priority for who in (("a", "t"), ("b", "t"), ("b", "u"))] == [1, 2, 3]
    del rows["key:*"]
    assert found.of("b", "u").priority == 4
    assert Urgencies().of("a", "t") == UrgencySettings()


def _until(true: Any) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until
        time.sleep(0.001)
