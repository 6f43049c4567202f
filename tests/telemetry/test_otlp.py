import http.server
import socket
import sys
import threading
import time
import timeit
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lockgate.telemetry.otlp import OtlpExporter
from lockgate.telemetry.sampling import Sampler, SamplingRule
from lockgate.telemetry.span_queue import BATCH, SpanQueue
from lockgate.telemetry.spans import Span, SpanKind, Tracer

NAME = {"service.name": "lockgate"}


class Receiver:
    """A collector: keeps what it is sent."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.requests: list[ExportTraceServiceRequest] = []
        self.tokens: list[str | None] = []
        self.came = threading.Event()

    @contextmanager
    def serving(self) -> Generator[str]:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.headers["content-type"] == "application/x-protobuf"
                receiver.tokens.append(self.headers["authorization"])
                receiver.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(receiver.status)
                self.send_header("location", "http://127.0.0.1:1/")
                self.send_header("content-length", "0")
                self.end_headers()
                receiver.came.set()

            def log_message(self, *arguments: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def hanging() -> Generator[str]:
    """Takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"


@contextmanager
def dead() -> Generator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}/v1/traces"


def tracer(queue: SpanQueue) -> Tracer:
    ids = iter(range(1, 10**9))
    return Tracer(
        Sampler([SamplingRule(ratio=1)], clock=time.monotonic, most_per_s=1e9),
        queue.put,
        clock_ns=time.time_ns,
        random_bits=lambda _: next(ids),
    )


def test_what_a_collector_gets_is_what_was_recorded() -> None:
    receiver = Receiver()
    with receiver.serving() as endpoint:
        queue = SpanQueue(OtlpExporter(endpoint, resource=NAME))
        trace = tracer(queue).begin(
            "POST /review",
            route="review",
            traceparent=b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            tracestate=[b"a=1"],
        )
        span = trace.span("chat \ud800", SpanKind.CLIENT)
        span.update({"s": "é\ud800", "i": 2**70, "f": 0.5, "b": True, "l": ["x", "y"]})
        span.fail("timeout")
        span.end()
        trace.root.end()
        queue.close()
    (group,) = receiver.requests[0].resource_spans
    assert group.resource.attributes[0].value.string_value == "lockgate"
    inner, root = group.scope_spans[0].spans
    assert root.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert root.parent_span_id.hex() == "00f067aa0ba902b7"
    assert root.trace_state == "a=1"
    assert inner.parent_span_id == root.span_id
    assert (inner.kind, root.kind) == (3, 2)
    assert (inner.status.code, root.status.code) == (2, 0)
    assert 0 < root.start_time_unix_nano <= inner.start_time_unix_nano
    values = {pair.key: pair.value for pair in inner.attributes}
    assert inner.name == "chat ?"
    assert values["s"].string_value == "é?"
    assert values["i"].int_value == 2**63 - 1
    assert values["f"].double_value == 0.5
    assert values["b"].bool_value is True
    assert [v.string_value for v in values["l"].array_value.values] == ["x", "y"]
    assert values["error.type"].string_value == "timeout"


@pytest.mark.parametrize("status", [302, 400, 503])
def test_a_refused_batch_is_counted_and_not_sent_again(status: int) -> None:
    receiver = Receiver(status)
    with receiver.serving() as endpoint:
        assert not OtlpExporter(endpoint, resource=NAME).export([])
    assert len(receiver.requests) == 1


def test_the_log_says_when_a_collector_begins_to_refuse_and_when_that_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "lockgate.telemetry")
    receiver = Receiver()
    with receiver.serving() as endpoint:
        exporter = OtlpExporter(endpoint, resource=NAME)
        for status in (200, 401, 401, 503, 200, 200):
            receiver.status = status
            exporter.export([])
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said == [
        ("WARNING", f"the collector at `{endpoint}` does not take spans: it answered 401"),
        ("INFO", f"the collector at `{endpoint}` takes spans again"),
    ]


@pytest.mark.parametrize("endpoint", [dead, hanging])
def test_a_receiver_that_is_away_costs_no_latency_and_bounded_memory(endpoint: object) -> None:
    assert endpoint in {dead, hanging}
    with (dead if endpoint is dead else hanging)() as address:
        dropped: list[int] = []
        queue = SpanQueue(
            OtlpExporter(address, resource=NAME, timeout_s=0.3),
            most_waiting=500,
            every_s=0.01,
            on_drop=dropped.append,
        )
        made = tracer(queue)
        times: list[float] = []
        for _ in range(20_000):
            began = time.perf_counter()
            made.begin("x", route="chat").root.end()
            times.append(time.perf_counter() - began)
            assert len(queue) <= 500
        times.sort()
        assert times[len(times) // 2] < 50e-6
        assert times[int(len(times) * 0.99)] < 0.02
        assert queue.dropped >= 15_000
        assert sum(dropped) == queue.dropped
        began = time.perf_counter()
        queue.close(patience_s=1.0)
        assert time.perf_counter() - began < 2


class Slow:
    """An exporter that waits until it may go on."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.sizes: list[int] = []
        self.closed = False

    def export(self, spans: Sequence[Span]) -> bool:
        self.go.wait(10)
        self.sizes.append(len(spans))
        return True

    def close(self) -> None:
        self.closed = True


def test_closing_sends_what_waits_in_small_batches() -> None:
    slow = Slow()
    queue = SpanQueue(slow, every_s=60)
    made = tracer(queue)
    for _ in range(300):
        made.begin("x", route="chat").root.end()
    slow.go.set()
    queue.close()
    assert sum(slow.sizes) == 300
    assert max(slow.sizes) <= BATCH
    assert slow.closed
    assert queue.dropped == 0


def test_closing_does_not_wait_for_a_stuck_receiver() -> None:
    slow = Slow()
    queue = SpanQueue(slow, every_s=60)
    tracer(queue).begin("x", route="chat").root.end()
    assert timeit.timeit(lambda: queue.close(patience_s=0.1), number=1) < 1
    slow.go.set()


def test_the_encoder_is_not_imported_until_traces_are_exported() -> None:
    import subprocess

    code = (
        "import lockgate.telemetry.spans, lockgate.telemetry.metrics, sys; "
        "sys.exit(any(m.startswith(('opentelemetry', 'urllib3', 'yaml')) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
