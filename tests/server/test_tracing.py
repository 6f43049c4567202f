"""The spans of requests, at a collector; and what callers trace, carried on to upstreams."""

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lockgate.app.gateway_controls import exact_cache
from lockgate.app.gateway_models import EmbeddedModel, ServedModel
from lockgate.app.gateway_observed import Observation
from lockgate.config.gateway_settings import (
    CacheSettings,
    SamplingSettings,
    ServerSettings,
    TracingSettings,
)
from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.domain.guard import Action
from lockgate.domain.inference import Completion, Dispatch, Result
from lockgate.domain.usage import Usage
from lockgate.telemetry.spans import SpanKind
from server.serving import CHAT, Models, Served, serving, upstream
from server.test_controls import guarding
from telemetry.test_otlp import Receiver
from upstream.mock_model import MockModel

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
UNSAMPLED = f"00-{TRACE}-00f067aa0ba902b7-00"
MODEL = Digest.of(b"model")


class Parrot:
    data_classes = frozenset(DataClass)

    async def infer(self, dispatch: Dispatch) -> Result:
        return Completion(text="hello", usage=Usage(input_tokens=3, output_tokens=1))


def to(mock: MockModel) -> Models:
    async def models() -> dict[str, ServedModel]:
        here = EmbeddedModel(
            name="here",
            backend_name="parrot",
            backends={"parrot": Parrot()},
            digest=MODEL,
            generates=True,
            release=str(MODEL).encode(),
        )
        return {"m": upstream("m", mock.port), "here": here}

    return models


def traced(url: str, **more: Any) -> ServerSettings:
    return ServerSettings(tracing=TracingSettings(otlp_url=url, **{"ratio": 1.0, **more}))


def ask(served: Served, headers: Mapping[str, str] | None = None, **more: Any) -> Any:
    return served.ask("POST", "/v1/chat/completions", {**CHAT, **more}, headers)


def spans(receiver: Receiver, count: int) -> dict[str, Any]:
    """Wait for so many spans; return the attributes, ids and flags of each by its name."""
    waiting = threading.Event()
    found: dict[str, Any] = {}
    for _ in range(1000):
        found = {
            span.name: span
            for request in tuple(receiver.requests)
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        }
        if len(found) >= count:
            break
        waiting.wait(0.01)
    return found


def header(head: bytes, name: str) -> str | None:
    for line in head.decode("latin-1").split("\r\n"):
        if line.lower().startswith(f"{name}: "):
            return line.partition(": ")[2]
    return None


def test_a_recorded_request_shows_guards_cache_and_inference_below_its_root(
    mock: MockModel,
) -> None:
    receiver = Receiver()
    cache = exact_cache(ServerSettings(cache=CacheSettings(ttl_s=60)))
    controls = replace(guarding(personal=Action.REDACT), cache=cache)
    with receiver.serving() as url:
        settings = traced(url)
        with serving(to(mock), settings=settings, controls=controls) as served:
            messages = [{"role": "user", "content": "write to anna@corp.com"}]
            assert ask(served, messages=messages)[0].status == 200
            found = spans(receiver, 6)
    root = found["POST /v1/chat/completions"]
    assert set(found) == {
        "POST /v1/chat/completions",
        "guard input",
        "cache lookup",
        "chat m",
        "guard output",
        "cache store",
    }
    assert {span.trace_id for span in found.values()} == {root.trace_id}
    assert found["chat m"].parent_span_id == root.span_id
    assert {a.key for a in root.attributes} >= {"lockgate.guard.findings", "lockgate.guard.rules"}
    assert "anna@corp.com" not in str(receiver.requests)
    # The upstream continues below the inference.
    carried = header(mock.heads[0], "traceparent")
    assert carried == f"00-{root.trace_id.hex()}-{found['chat m'].span_id.hex()}-03"


@pytest.mark.parametrize("stream", [{}, {"stream": True}], ids=["whole", "stream"])
def test_an_inference_says_what_was_asked_for_and_what_came(
    mock: MockModel, stream: dict[str, Any]
) -> None:
    receiver = Receiver()
    mock.finish_reason = "stop"
    with receiver.serving() as url, serving(to(mock), settings=traced(url)) as served:
        assert ask(served, max_tokens=9, temperature=0.5, seed=3, **stream)[0].status == 200
        span = spans(receiver, 2)["chat m"]
    found = {one.key: one.value for one in span.attributes}
    first = found.pop("gen_ai.response.time_to_first_chunk", None)
    assert (first is not None and 0 < first.double_value < 10) == bool(stream)
    (reason,) = found.pop("gen_ai.response.finish_reasons").array_value.values
    assert reason.string_value == "stop"
    shown = {name: next(iter(value.ListFields()))[1] for name, value in found.items()}
    assert shown == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "there",
        "gen_ai.request.model": "m",
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 3,
        "gen_ai.response.id": "c1",
        "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 4,
        "lockgate.data_class": "internal",
        "lockgate.release": f"sha256:{0:064}",
        "server.address": "127.0.0.1",
        "server.port": mock.port,
    }


def test_a_stream_that_breaks_off_is_a_failure_of_the_request_and_of_the_inference(
    mock: MockModel,
) -> None:
    receiver = Receiver()
    mock.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 18\r\n\r\n"
        b'data: {"id":"a"}\n\n'
    )
    with receiver.serving() as url, serving(to(mock), settings=traced(url)) as served:
        assert ask(served, stream=True)[0].status == 200
        found = spans(receiver, 2)
    for span in (found["chat m"], found["POST /v1/chat/completions"]):
        attributes = {one.key: one.value.string_value for one in span.attributes}
        assert (span.status.code, attributes["error.type"]) == (2, "upstream-failed")


def test_a_model_inside_the_process_has_a_span_too(mock: MockModel) -> None:
    receiver = Receiver()
    with (
        receiver.serving() as url,
        serving(to(mock), settings=traced(url)) as served,
    ):
        assert ask(served, model="here")[0].status == 200
        found = spans(receiver, 2)
    attributes = {a.key: a.value for a in found["chat here"].attributes}
    assert attributes["gen_ai.usage.input_tokens"].int_value == 3
    assert attributes["gen_ai.provider.name"].string_value == "lockgate"


@pytest.mark.parametrize("parent", [SAMPLED, UNSAMPLED])
def test_what_a_caller_traces_is_carried_on_though_nothing_is_recorded_here(
    mock: MockModel, parent: str
) -> None:
    with serving(to(mock)) as served:
        assert ask(served, {"traceparent": parent, "tracestate": "a=1,b=2"})[0].status == 200
        assert ask(served)[0].status == 200
    assert header(mock.heads[0], "traceparent") == parent
    assert header(mock.heads[0], "tracestate") == "a=1,b=2"
    assert header(mock.heads[1], "traceparent") is None


def test_a_header_that_is_none_is_not_carried_on(mock: MockModel) -> None:
    with serving(to(mock)) as served:
        assert ask(served, {"traceparent": "00-1-2-01", "tracestate": "a=1"})[0].status == 200
    assert header(mock.heads[0], "traceparent") is None
    assert header(mock.heads[0], "tracestate") is None


def test_the_first_rule_that_fits_a_route_or_a_task_decides(mock: MockModel) -> None:
    receiver = Receiver()
    rules = (
        SamplingSettings(task="review", ratio=1.0),
        SamplingSettings(route="chat", ratio=0.0),
        SamplingSettings(route="models", ratio=1.0),
    )
    with (
        receiver.serving() as url,
        serving(to(mock), settings=traced(url, rules=rules, ratio=0.0)) as served,
    ):
        ask(served)
        served.ask("GET", "/v1/tasks")
        served.ask("POST", "/review", b"eval", {"Content-Type": "text/plain"})
        served.ask("GET", "/v1/models")
        found = spans(receiver, 2)
    assert set(found) == {"POST /review", "GET /v1/models"}


def test_the_inferences_and_searches_of_a_task_are_below_its_request(mock: MockModel) -> None:
    receiver = Receiver()
    with (
        receiver.serving() as url,
        serving(to(mock), settings=traced(url)) as served,
    ):
        served.engine.notes_of_models += [
            Observation(operation="retrieval", model="docs", start_ns=5, end_ns=6),
            Observation(
                operation="chat",
                backend="llama_cpp",
                model="smollm2",
                digest=MODEL,
                start_ns=7,
                end_ns=9,
                failure="timeout",
                code="upstream-timeout",
            ),
            Observation(
                operation="embeddings",
                backend="far",
                model="minilm",
                destination="10.0.3.7:8000",
                span_id=0xABCDEF,
                start_ns=7,
                end_ns=9,
            ),
        ]
        body = json.dumps({"diff": "x"}).encode()
        served.ask("POST", "/v1/tasks/review", body, {"Content-Type": "application/json"})
        (observer,) = served.engine.observers
        assert observer.trace is not None
        found = spans(receiver, 4)
    root = found["POST /v1/tasks/{task}"]
    assert observer.trace.root.span_id == int.from_bytes(root.span_id, "big")
    inference = found["chat smollm2"]
    assert inference.parent_span_id == root.span_id
    assert (inference.start_time_unix_nano, inference.end_time_unix_nano) == (7, 9)
    assert (inference.status.code, inference.kind) == (2, SpanKind.INTERNAL)
    asked = found["embeddings minilm"]
    assert (asked.parent_span_id, asked.kind) == (root.span_id, SpanKind.CLIENT)
    assert int.from_bytes(asked.span_id, "big") == 0xABCDEF
    attributes = {one.key: one.value for one in asked.attributes}
    assert attributes["server.address"].string_value == "10.0.3.7"
    assert attributes["server.port"].int_value == 8000
    assert found["retrieval docs"].end_time_unix_nano == 6
