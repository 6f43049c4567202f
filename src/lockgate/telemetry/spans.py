"""Spans: what a request did, and how long each part took."""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from types import TracebackType
from typing import Self, TypeAlias

from lockgate.errors import LockgateError
from lockgate.telemetry.conventions import CONTENT, ERROR_TYPE
from lockgate.telemetry.sampling import Sampler
from lockgate.telemetry.trace_context import (
    RANDOM,
    SAMPLED,
    Parent,
    read_traceparent,
    read_tracestate,
    write_traceparent,
)

Attribute: TypeAlias = str | int | float | bool | Sequence[str]
MAX_SPANS = 128
MAX_ATTRIBUTES = 64
MAX_CHARACTERS = 1024
MAX_CONTENT_CHARACTERS = 65_536


class SpanKind(IntEnum):
    """As OTLP numbers them (opentelemetry/proto/trace/v1/trace.proto)."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class Span:
    """One part of a recorded trace. `with` it, or call `end`. What exceeds the bounds is lost."""

    __slots__ = (
        "attributes",
        "end_ns",
        "failed",
        "kind",
        "name",
        "parent_id",
        "span_id",
        "start_ns",
        "trace",
    )

    def __init__(self, trace: "Trace", name: str, kind: SpanKind, parent_id: int) -> None:
        self.trace = trace
        self.name = name
        self.kind = kind
        self.parent_id = parent_id
        self.span_id = trace.tracer.new_id(64)
        self.start_ns = trace.tracer.clock_ns()
        self.end_ns = 0
        self.failed = False
        self.attributes: dict[str, Attribute] = {}

    def set(self, name: str, value: Attribute) -> None:
        """Set an attribute. One that holds content is dropped unless content is recorded."""
        content = name in CONTENT
        if content and not self.trace.tracer.content:
            return
        if len(self.attributes) >= MAX_ATTRIBUTES and name not in self.attributes:
            return
        most = MAX_CONTENT_CHARACTERS if content else MAX_CHARACTERS
        self.attributes[name] = value[:most] if isinstance(value, str) else value

    def update(self, values: Mapping[str, Attribute]) -> None:
        """Set several attributes."""
        for name, value in values.items():
            self.set(name, value)

    def fail(self, kind: str) -> None:
        """Mark it as failed. `kind` is a class of errors, not a message: those may quote input."""
        self.failed = True
        self.set(ERROR_TYPE, kind)

    def end(self) -> None:
        """Note the time. Once is enough."""
        if not self.end_ns:
            self.end_at(self.trace.tracer.clock_ns())

    def end_at(self, end_ns: int) -> None:
        """End it at a time that has passed."""
        self.end_ns = end_ns
        self.trace.finished(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and not self.failed:
            self.fail(error.code if isinstance(error, LockgateError) else kind.__name__)
        self.end()


class _NoSpan(Span):
    """Takes everything and keeps nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        pass

    def set(self, name: str, value: Attribute) -> None:
        pass

    def update(self, values: Mapping[str, Attribute]) -> None:
        pass

    def fail(self, kind: str) -> None:
        pass

    def end(self) -> None:
        pass

    def end_at(self, end_ns: int) -> None:
        pass

    def __exit__(self, *raised: object) -> None:
        pass


NO_SPAN: Span = _NoSpan()


class Trace:
    """One request: its root span, if it is recorded, and the headers for calls that it makes."""

    __slots__ = ("_open", "_parent", "root", "sampled", "state", "trace_id", "tracer")

    def __init__(
        self, tracer: "Tracer", trace_id: int, parent: Parent | None, state: bytes
    ) -> None:
        self.tracer = tracer
        self.trace_id = trace_id
        self.sampled = False
        self.root = NO_SPAN
        self._parent = parent
        self.state = state
        self._open = MAX_SPANS

    @property
    def continues(self) -> bool:
        """Whether the caller traces the request."""
        return self._parent is not None

    def span(
        self, name: str, kind: SpanKind = SpanKind.INTERNAL, *, parent: Span | None = None
    ) -> Span:
        """Begin a part of the request, below the root or `parent`."""
        if not self.sampled or self._open == 0:
            return NO_SPAN
        self._open -= 1
        above = self.root if parent is None or parent is NO_SPAN else parent
        return Span(self, name, kind, above.span_id)

    def headers(self, span: Span | None = None) -> list[tuple[bytes, bytes]]:
        """Return `traceparent` and `tracestate` for a call that `span` makes, or the request."""
        above = self.root if span is None or span is NO_SPAN else span
        if above is not NO_SPAN:
            span_id = above.span_id
        else:
            span_id = self._parent.span_id if self._parent else self.tracer.new_id(64)
        return self.headers_below(span_id)

    def headers_below(self, span_id: int) -> list[tuple[bytes, bytes]]:
        """As `headers`, for a call whose span will have that id. Safe on any thread."""
        flags = self._parent.flags if self._parent else RANDOM
        if self.sampled:
            flags |= SAMPLED  # else the caller's: what we do not record, others may
        found = [(b"traceparent", write_traceparent(Parent(self.trace_id, span_id, flags)))]
        if self.state:
            found.append((b"tracestate", self.state))
        return found

    def finished(self, span: Span) -> None:
        """Hand a span that ended on."""
        self.tracer.sink(span)

    def start_root(self, name: str) -> None:
        """Begin to record."""
        self.sampled = True
        self.root = Span(self, name, SpanKind.SERVER, self._parent.span_id if self._parent else 0)


class Tracer:
    """Begins traces. `sink` gets each span that ends; it must not block."""

    def __init__(
        self,
        sampler: Sampler,
        sink: Callable[[Span], None],
        *,
        clock_ns: Callable[[], int],
        random_bits: Callable[[int], int],
        content: bool = False,
    ) -> None:
        self.sink = sink
        self.clock_ns = clock_ns
        self.content = content
        self._sampler = sampler
        self._random_bits = random_bits

    def begin(
        self,
        name: str,
        *,
        route: str,
        task: str = "",
        traceparent: bytes | None = None,
        tracestate: Sequence[bytes] = (),
    ) -> Trace:
        """Begin or continue a trace. End its `root` when the answer is out."""
        parent = None if traceparent is None else read_traceparent(traceparent)
        state = read_tracestate(list(tracestate)) if parent and tracestate else b""
        trace_id = self.new_id(128) if parent is None else parent.trace_id
        trace = Trace(self, trace_id, parent, state)
        if self._sampler.decide(trace_id, parent, route=route, task=task):
            trace.start_root(name)
        return trace

    def draw(self, *, route: str, task: str = "") -> int:
        """Return the id of a new trace that is to be recorded; 0 for a request that is not.

        For requests that nobody traces: those that are not recorded need no Trace at all.
        """
        trace_id = self.new_id(128)
        return trace_id if self._sampler.decide(trace_id, None, route=route, task=task) else 0

    def record(self, name: str, trace_id: int) -> Trace:
        """Begin the trace that `draw` chose. End its `root` when the answer is out."""
        trace = Trace(self, trace_id, None, b"")
        trace.start_root(name)
        return trace

    def new_id(self, bits: int) -> int:
        """Return a random id, which is not zero."""
        return self._random_bits(bits) or 1
