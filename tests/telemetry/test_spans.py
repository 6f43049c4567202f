import random
import time
import timeit
from itertools import count

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    server_attributes,
    url_attributes,
)

from lockgate.errors import Unavailable
from lockgate.telemetry import conventions
from lockgate.telemetry.entropy import Entropy
from lockgate.telemetry.sampling import Sampler, SamplingRule
from lockgate.telemetry.spans import MAX_ATTRIBUTES, MAX_SPANS, NO_SPAN, Span, SpanKind, Tracer
from lockgate.telemetry.trace_context import read_traceparent

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = PARENT[:-2] + b"00"


def tracer(
    *rules: SamplingRule, content: bool = False, most_per_s: float = 1e9
) -> tuple[Tracer, list[Span]]:
    ended: list[Span] = []
    ticks = count(1)
    made = Tracer(
        Sampler(rules, clock=lambda: 0.0, most_per_s=most_per_s),
        ended.append,
        clock_ns=lambda: next(ticks),
        random_bits=random.Random(1).getrandbits,  # noqa: S311  a seeded test
        content=content,
    )
    return made, ended


ALL, NONE = SamplingRule(ratio=1), SamplingRule(ratio=0)


def test_parts_of_a_request_hang_below_its_root() -> None:
    made, ended = tracer(ALL)
    trace = made.begin("POST /v1/chat/completions", route="chat")
    name = conventions.inference_name("chat", "smollm2")
    with trace.root, trace.span(name, SpanKind.CLIENT) as span:
        span.set(conventions.INPUT_TOKENS, 12)
        trace.span(conventions.CACHE_LOOKUP, parent=span).end()
    cache, inference, root = ended
    assert [s.name for s in ended] == ["cache lookup", "chat smollm2", "POST /v1/chat/completions"]
    assert (root.parent_id, root.kind) == (0, SpanKind.SERVER)
    assert (inference.parent_id, cache.parent_id) == (root.span_id, inference.span_id)
    assert inference.attributes == {"gen_ai.usage.input_tokens": 12}
    assert root.start_ns < inference.start_ns < cache.start_ns
    assert cache.end_ns < inference.end_ns < root.end_ns


def test_a_trace_goes_on_where_the_caller_is_and_calls_carry_it_further() -> None:
    made, ended = tracer(ALL)
    trace = made.begin("x", route="chat", traceparent=PARENT, tracestate=[b"a=1", b"b=2"])
    span = trace.span("chat m", SpanKind.CLIENT)
    headers = dict(trace.headers(span))
    span.end()
    trace.root.end()
    assert ended[1].parent_id == 0x00F067AA0BA902B7
    onward = read_traceparent(headers[b"traceparent"])
    assert onward is not None
    assert (onward.trace_id, onward.span_id) == (trace.trace_id, span.span_id)
    assert onward.sampled
    assert headers[b"tracestate"] == b"a=1,b=2"


def test_an_unrecorded_request_passes_its_context_on_unchanged() -> None:
    made, ended = tracer(ALL)
    trace = made.begin("x", route="chat", traceparent=UNSAMPLED, tracestate=[b"a=1"])
    with trace.root, trace.span("chat m") as span:
        span.set(conventions.INPUT_TOKENS, 1)
        assert span is NO_SPAN
        assert trace.headers(span) == [(b"traceparent", UNSAMPLED), (b"tracestate", b"a=1")]
    assert ended == []


def test_a_broken_traceparent_begins_a_new_trace_and_takes_its_state_along_to_nowhere() -> None:
    made, _ = tracer(ALL)
    trace = made.begin("x", route="chat", traceparent=b"00-1-2-01", tracestate=[b"a=1"])
    assert trace.sampled
    assert [name for name, _ in trace.headers()] == [b"traceparent"]


def test_content_is_dropped_unless_it_is_turned_on() -> None:
    for content, expected in ((False, []), (True, sorted(conventions.CONTENT))):
        made, ended = tracer(ALL, content=content)
        with made.begin("x", route="chat").root as root:
            root.update(dict.fromkeys(conventions.CONTENT, "my password is hunter2"))
        assert sorted(ended[0].attributes) == expected


def test_an_error_leaves_its_class_and_never_its_words() -> None:
    made, ended = tracer(ALL)
    with pytest.raises(Unavailable), made.begin("x", route="chat").root:
        raise Unavailable("the key hunter2 was refused")
    with pytest.raises(ZeroDivisionError), made.begin("x", route="chat").root:
        raise ZeroDivisionError("hunter2")
    assert [span.failed for span in ended] == [True, True]
    assert [dict(span.attributes) for span in ended] == [
        {"error.type": "unavailable"},
        {"error.type": "ZeroDivisionError"},
    ]


def test_spans_attributes_and_texts_of_one_request_are_bounded() -> None:
    made, ended = tracer(ALL)
    trace = made.begin("x", route="chat")
    for n in range(1000):
        span = trace.span("part")
        span.update({f"a{m}": "x" * 5000 for m in range(n % 200)})
        span.end()
    assert len(ended) == MAX_SPANS
    assert max(len(span.attributes) for span in ended) == MAX_ATTRIBUTES
    assert all(len(str(v)) == 1024 for span in ended for v in span.attributes.values())


def test_a_span_that_is_ended_twice_is_handed_on_once() -> None:
    made, ended = tracer(ALL)
    root = made.begin("x", route="chat").root
    root.end()
    root.end()
    assert len(ended) == 1


def test_the_first_rule_that_fits_decides() -> None:
    rules = (
        SamplingRule(route="health", ratio=0),
        SamplingRule(task="review", ratio=1),
        SamplingRule(ratio=0.1),
    )
    made, _ = tracer(*rules)
    assert not any(made.begin("x", route="health").sampled for _ in range(100))
    assert all(made.begin("x", route="task", task="review").sampled for _ in range(100))
    some = sum(made.begin("x", route="chat").sampled for _ in range(5000))
    assert 400 < some < 600
    assert not tracer()[0].begin("x", route="chat").sampled


def test_two_replicas_decide_alike_for_the_same_trace() -> None:
    half = SamplingRule(ratio=0.5)
    one, two = (Sampler([half], clock=lambda: 0.0, most_per_s=1e9) for _ in range(2))
    ids = [random.Random(n).getrandbits(128) for n in range(200)]  # noqa: S311  seeded
    decisions = [one.decide(i, None, route="chat") for i in ids]
    assert decisions == [two.decide(i, None, route="chat") for i in ids]
    assert len(set(decisions)) == 2


def test_a_caller_cannot_make_every_request_a_recorded_one() -> None:
    made, _ = tracer(ALL, most_per_s=10)
    recorded = [made.begin("x", route="chat", traceparent=PARENT).sampled for _ in range(1000)]
    assert sum(recorded) == 10
    never, _ = tracer(NONE)
    assert not never.begin("x", route="chat", traceparent=PARENT).sampled


def test_a_request_that_is_not_recorded_costs_less_than_five_microseconds() -> None:
    sampler = Sampler([SamplingRule(ratio=1e-9)], clock=time.monotonic)
    made = Tracer(sampler, list[Span]().append, clock_ns=time.time_ns, random_bits=Entropy())

    def request() -> None:
        trace = made.begin("POST /v1/chat/completions", route="chat")
        with trace.root, trace.span("chat m") as span:
            span.set(conventions.INPUT_TOKENS, 1)

    best = min(timeit.repeat(request, number=2000, repeat=7, timer=time.process_time)) / 2000
    assert best < 5e-6


def test_every_name_that_is_not_ours_is_one_of_the_conventions() -> None:
    modules = (
        gen_ai_attributes,
        http_attributes,
        server_attributes,
        url_attributes,
        error_attributes,
    )
    known = {v for module in modules for v in vars(module).values() if isinstance(v, str)}
    ours = {
        value
        for value in vars(conventions).values()
        if isinstance(value, str) and "." in value and " " not in value and "\n" not in value
    }
    names = {name for name in ours if not name.startswith(("lockgate.", "/"))}
    assert len(names - {"lockgate.telemetry.conventions"}) > 20
    assert {n for n in names if not n.endswith(".py")} <= known


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_a_ratio_is_between_nothing_and_all(ratio: float) -> None:
    with pytest.raises(ValueError, match="a ratio"):
        SamplingRule(ratio=ratio)


def test_what_is_drawn_is_recorded_and_the_rest_has_no_trace() -> None:
    made, ended = tracer(SamplingRule(route="chat", ratio=1.0))
    drawn = made.draw(route="chat")
    made.record("POST /v1/chat/completions", drawn).root.end()
    (root,) = ended
    assert (root.trace.trace_id, root.parent_id, root.trace.sampled) == (drawn, 0, True)
    assert made.draw(route="health") == 0
