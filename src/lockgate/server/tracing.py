"""The spans of one request. Each function costs next to nothing for what is not recorded."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from lockgate.app.gateway_models import EmbeddedModel, ServedModel
from lockgate.app.gateway_observed import Observation
from lockgate.domain.call import DataClass
from lockgate.server.exchange import Exchange
from lockgate.telemetry import conventions
from lockgate.telemetry.spans import NO_SPAN, Span, SpanKind, Trace, Tracer
from lockgate.upstream.request import Request

PROVIDER: Final = "lockgate"
_OPERATIONS = {
    "chat/completions": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
_MOST_RULES = 16
_MOST_REASONS = 16
_WANTED = {
    "max_tokens": conventions.REQUEST_MAX_TOKENS,
    "max_completion_tokens": conventions.REQUEST_MAX_TOKENS,
    "temperature": conventions.REQUEST_TEMPERATURE,
    "top_p": conventions.REQUEST_TOP_P,
    "seed": conventions.REQUEST_SEED,
}


@dataclass(frozen=True, slots=True)
class Tracing:
    """What begins traces."""

    tracer: Tracer
    records: bool
    """Whether spans go somewhere. What callers trace is carried on anyway."""


def part(exchange: Exchange, name: str) -> Span:
    """Begin a part of a request: a look into the cache, a guard, a wait. `with` it."""
    trace = exchange.trace
    return NO_SPAN if trace is None or not trace.sampled else trace.span(name)


def serves(exchange: Exchange, task: str) -> None:
    """Note the task, now that there is one of that name: what a path says may be anything."""
    trace = exchange.trace
    if trace is not None and trace.sampled:
        trace.root.set(conventions.TASK, task)


def inference(exchange: Exchange, model: ServedModel, endpoint: str, data_class: DataClass) -> Span:
    """Begin the span of an inference."""
    trace = exchange.trace
    if trace is None or not trace.sampled:
        return NO_SPAN
    operation = _OPERATIONS[endpoint]
    here = isinstance(model, EmbeddedModel)
    served = model.name if isinstance(model, EmbeddedModel) else model.served
    kind = SpanKind.INTERNAL if here else SpanKind.CLIENT
    span = trace.span(conventions.inference_name(operation, served), kind)
    span.set(conventions.OPERATION, operation)
    span.set(conventions.PROVIDER, PROVIDER if here else model.backend_name)
    span.set(conventions.REQUEST_MODEL, served)
    span.set(conventions.RELEASE, model.release.decode("ascii"))
    span.set(conventions.DATA_CLASS, str(data_class))
    if isinstance(model, EmbeddedModel):
        span.set(conventions.RESPONSE_MODEL, served)
    else:
        _at(span, model.destination)
    return span


def _at(span: Span, destination: str) -> None:
    host, _, port = destination.rpartition(":")
    if not host or not port.isdecimal():
        host, port = destination, ""
    span.set(conventions.SERVER_ADDRESS, host.strip("[]"))
    if port:
        span.set(conventions.SERVER_PORT, int(port))


def wanted(span: Span, asked: Any) -> None:
    """Set what a request wants of its model."""
    if span is NO_SPAN:
        return
    for member, name in _WANTED.items():
        value = getattr(asked, member, None)
        if isinstance(value, int | float):
            span.set(name, value)


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Said(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] = []


_SAID: "msgspec.json.Decoder[_Said]" = msgspec.json.Decoder(_Said)


def said(span: Span, data: bytes) -> None:
    """Set what an answer, or a part of one, says of itself."""
    if span is NO_SPAN:
        return
    try:
        found = _SAID.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return
    if found.model:
        span.set(conventions.RESPONSE_MODEL, found.model)
    if found.id:
        span.set(conventions.RESPONSE_ID, found.id)
    reasons = [choice.finish_reason for choice in found.choices if choice.finish_reason]
    if reasons:
        known: Any = span.attributes.get(conventions.FINISH_REASONS, [])
        span.set(conventions.FINISH_REASONS, [*known, *reasons][:_MOST_REASONS])


def carried(exchange: Exchange, request: Request, span: Span) -> Request:
    """Return the request with the headers by which the upstream's spans join the caller's.

    A request that nobody traces gets none; one that is not recorded here carries its caller's on.
    """
    trace = exchange.trace
    if trace is None or not (trace.sampled or trace.continues):
        return request
    headers = [*request.headers, *trace.headers(span)]  # a list: not kept by the pool
    return request._replace(headers=headers)


def content(span: Span, name: str, data: bytes) -> None:
    """Set what was said, where the configuration wants it recorded."""
    if span is not NO_SPAN and span.trace.tracer.content:
        span.set(name, data.decode("utf-8", "replace"))


def found(exchange: Exchange, findings: dict[str, int]) -> None:
    """Note at the root what guards found: rules by name, never the text."""
    trace = exchange.trace
    if trace is None or not trace.sampled or not findings:
        return
    trace.root.set(conventions.GUARD_FINDINGS, sum(findings.values()))
    trace.root.set(conventions.GUARD_RULES, sorted(findings)[:_MOST_RULES])


def observed(trace: Trace | None, notes: list[Observation]) -> None:
    """Add the spans of what models and retrieval did for a task."""
    if trace is None or not trace.sampled:
        return
    for note in notes:
        name = (
            conventions.inference_name(note.operation, note.model)
            if note.backend
            else conventions.retrieval_name(note.model or "words")
        )
        span = trace.span(name, SpanKind.CLIENT if note.destination else SpanKind.INTERNAL)
        if span is NO_SPAN:
            return
        if note.span_id:
            span.span_id = note.span_id  # the server has it already
        if note.destination:
            _at(span, note.destination)
        span.set(conventions.OPERATION, note.operation)
        if not note.backend:
            span.set(conventions.DATA_SOURCE, note.model)
        else:
            span.set(conventions.PROVIDER, note.backend)
            span.set(conventions.REQUEST_MODEL, note.model)
            span.set(conventions.RELEASE, str(note.digest))
            span.set(conventions.INPUT_TOKENS, note.usage.input_tokens)
            span.set(conventions.OUTPUT_TOKENS, note.usage.output_tokens)
        if note.failure:
            span.fail(note.code)
        span.start_ns = note.start_ns
        span.end_at(note.end_ns)
