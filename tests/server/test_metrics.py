"""What `/metrics` says after requests that went well, failed, were refused or given up."""

import json
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import lockgate
from lockgate.app.gateway_controls import Controls, Switch, breakers
from lockgate.app.gateway_limits import rate_limits
from lockgate.app.gateway_models import ServedModel
from lockgate.config.gateway_settings import RateLimit, ServerSettings
from lockgate.domain.guard import Action
from lockgate.telemetry.table import TABLE
from lockgate.traffic.breaker import BreakerState
from server.serving import CHAT, Models, Served, serving, upstream
from server.test_controls import FAILS, chat, guarding
from upstream.mock_model import MockModel, mock_model
from waiting import wait_until

NO_JSON = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nno {"
TOO_MUCH = b"HTTP/1.1 429 X\r\nContent-Length: 2\r\n\r\n{}"


def to(mock: MockModel, **more: int) -> Models:
    async def models() -> dict[str, ServedModel]:
        found: dict[str, ServedModel] = {"m": upstream("m", mock.port)}
        for name, port in more.items():
            found[name] = replace(upstream(name, port), upstream=f"at-{name}")
        return found

    return models


def value(served: Served, name: str, **labels: str) -> float:
    """Return the sum of the series with these labels."""
    page = served.ask("GET", "/metrics")[1].decode()
    found = 0.0
    for line in page.splitlines():
        series, _, number = line.rpartition(" ")
        rest = series.removeprefix(name)
        if rest[:1] not in {"", "{"} or not series.startswith(name):
            continue
        if all(f'{label}="{wanted}"' in rest for label, wanted in labels.items()):
            found += float(number)
    return found


def settled(served: Served, name: str, **labels: str) -> float:
    """Wait until there is such a series: a request is counted after its answer."""
    waiting = threading.Event()
    for _ in range(1000):
        found = value(served, name, **labels)
        if found:
            return found
        waiting.wait(0.005)
    return 0.0


def test_every_row_of_the_table_is_written_somewhere() -> None:
    package = Path(lockgate.__file__).parent
    known = {package / "telemetry" / name for name in ("table.py", "views.py", "rules.py")}
    sources = "".join(
        path.read_text("utf-8") for path in package.rglob("*.py") if path not in known
    )
    written = set(re.findall(r'"((?:lockgate|process)_[a-z_]+)"', sources))
    assert {metric.name for metric in TABLE} <= written


@pytest.mark.parametrize(
    ("answer", "kind"), [(FAILS, "status"), (NO_JSON, "malformed"), (TOO_MUCH, "status")]
)
def test_a_failure_is_counted_by_its_kind_and_the_models_release(
    mock: MockModel, answer: bytes, kind: str
) -> None:
    mock.answer = answer
    with serving(to(mock)) as served:
        assert chat(served)[0].status in {429, 502}
        release = "sha256:" + "0" * 64
        assert settled(served, "lockgate_failures_total", type=kind, release=release) == 1
        assert value(served, "lockgate_responses_total", outcome="failed", model="m") == 1


def test_a_server_that_is_not_there_is_counted_as_one_that_was_not_reached(
    mock: MockModel,
) -> None:
    with mock_model() as gone:
        port = gone.port
    settings = ServerSettings(fallbacks={"away": ("m",)})
    with serving(to(mock, away=port), settings=settings) as served:
        assert chat(served, model="away")[0].status == 200
        assert settled(served, "lockgate_failures_total", type="connect", model="away") == 1
        assert value(served, "lockgate_responses_total", outcome="degraded") == 1


def test_a_stream_that_breaks_off_is_a_failure(mock: MockModel) -> None:
    half = b'data: {"choices":[{"index":0,"delta":{"content":"Che"}}]}\n\n'
    mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(half), half)
    with serving(to(mock)) as served:
        assert chat(served, stream=True)[0].status == 200
        assert settled(served, "lockgate_failures_total", type="truncated") == 1
        assert value(served, "lockgate_responses_total", outcome="failed") == 1
        assert value(served, "lockgate_responses_total", outcome="ok") == 0


def test_the_first_part_of_a_stream_is_timed_and_a_whole_answer_has_none(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        served.ask("POST", "/v1/chat/completions", {**CHAT, "stream": True})
        assert settled(served, "lockgate_first_chunk_seconds_count", route="chat") == 1
        served.ask("POST", "/v1/chat/completions", CHAT)
        requests = ("lockgate_requests_total", {"route": "chat", "code": "200"})
        wait_until(lambda: value(served, requests[0], **requests[1]) == 2)
        assert value(served, "lockgate_first_chunk_seconds_count") == 1


def test_an_open_circuit_is_told_from_a_full_queue(mock: MockModel) -> None:
    controls = Controls(breakers=breakers({"there": 5.0}))
    breaker = controls.breakers["there"]
    while breaker.state is not BreakerState.OPEN:
        assert breaker.allow()
        breaker.record(ok=False, seconds=0.1)
    with serving(to(mock), controls=controls) as served:
        assert chat(served)[0].status == 503
        assert settled(served, "lockgate_failures_total", type="circuit-open") == 1


def test_what_a_guard_blocks_is_refused_and_what_a_limit_stops_is_no_answer(
    mock: MockModel,
) -> None:
    limits = rate_limits({"team:local": RateLimit(tokens_per_minute=600, requests_per_minute=60)})
    controls = replace(guarding(personal=Action.BLOCK), limits=limits)
    with serving(to(mock), controls=controls) as served:
        assert chat(served, "write to anna@corp.com")[0].status == 400
        assert settled(served, "lockgate_responses_total", outcome="refused") == 1
        response, body = chat(served, max_tokens=100_000)
        assert (response.status, body["error"]["param"]) == (429, "tokens")
        assert settled(served, "lockgate_limited_total", route="chat", limit="tokens") == 1
        assert value(served, "lockgate_responses_total") == 1


def test_which_limit_stops_a_request_is_told(mock: MockModel) -> None:
    limits = rate_limits({"team:local": RateLimit(requests_per_minute=1)})
    with serving(to(mock), controls=Controls(limits=limits)) as served:
        chat(served)
        response, body = chat(served)
        assert (response.status, body["error"]["param"]) == (429, "requests")
        assert settled(served, "lockgate_limited_total", limit="requests") == 1


def test_an_upstream_that_limits_us_is_no_limit_of_ours(mock: MockModel) -> None:
    mock.answer = TOO_MUCH
    with serving(to(mock)) as served:
        assert chat(served)[0].status == 429
        assert settled(served, "lockgate_failures_total") == 1
        assert value(served, "lockgate_limited_total") == 0


def test_a_client_that_leaves_is_counted_as_such(mock: MockModel) -> None:
    mock.hang_after = 1
    with serving(to(mock)) as served:
        connection = asking(served)
        assert mock.asked.wait(5)
        connection.close()
        assert settled(served, "lockgate_responses_total", outcome="cancelled") == 1


def asking(served: Served) -> socket.socket:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    found = socket.create_connection(("127.0.0.1", served.port))
    found.sendall(head % len(body) + body)
    return found


def test_the_time_between_the_parts_of_a_stream_is_not_ours(mock: MockModel) -> None:
    mock.hang_after = 2
    held_s = 0.2
    with serving(to(mock)) as served:

        def hold() -> None:
            mock.asked.wait(5)
            threading.Event().wait(held_s)
            mock.release()

        holding = threading.Thread(target=hold)
        holding.start()
        assert chat(served, stream=True)[0].status == 200
        holding.join()
        whole = settled(served, "lockgate_request_seconds_sum", route="chat")
        ours = value(served, "lockgate_overhead_seconds_sum", route="chat")
        assert whole - ours >= held_s * 0.9


def test_a_gateway_with_nothing_to_share_raises_no_alarm(mock: MockModel) -> None:
    switch = Switch()
    with serving(to(mock), controls=Controls(switch=switch)) as served:
        assert value(served, "lockgate_shared_state_up") == 1
        switch.is_up = False
        assert value(served, "lockgate_shared_state_up") == 0


def test_what_may_answer_is_listed_before_the_first_request(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        assert value(served, "lockgate_release_info", model="m") == 1
        assert value(served, "lockgate_open_requests") == 1, "the scrape itself"


def test_a_task_is_counted_by_what_it_found(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        for text in (b"eval", b"eval", b"print"):
            served.ask("POST", "/review", text, {"Content-Type": "text/plain"})
        found = {"task": "review", "result": "high"}
        assert settled(served, "lockgate_task_results_total", **found) == 2
        assert value(served, "lockgate_task_results_total", result="low") == 1
        assert value(served, "lockgate_task_seconds_count", task="review") == 3


def test_a_mistake_of_ours_is_a_500_that_the_log_has_by_its_request(
    mock: MockModel, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(to(mock)) as served:
        served.engine.broken = True
        response, body = served.ask("POST", "/review", b"x", {"Content-Type": "text/plain"})
        assert (response.status, body["error"]["code"]) == (500, "internal")
        assert "mistake" not in str(body), "what went wrong may quote the input"
        counted = {"route": "short:review", "code": "500"}
        assert settled(served, "lockgate_requests_total", **counted) == 1
    (record,) = [r for r in caplog.records if r.name == "lockgate.server"]
    assert record.__dict__["request"] == response.headers["x-request-id"]
    assert record.exc_info is not None
