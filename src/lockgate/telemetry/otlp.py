"""Sends spans by OTLP over HTTP, as protobuf.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache

import urllib3

from lockgate import __version__
from lockgate.errors import InvalidConfig
from lockgate.telemetry.spans import Attribute, Span

try:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2
except ImportError as absent:
    raise InvalidConfig(
        f"traces are to be exported, and what encodes them is not installed: {absent}",
        hint="pip install 'lockgate[otlp]'",
    ) from absent

_LOG = logging.getLogger("lockgate.telemetry")
CONNECT_TIMEOUT_S = 1.0
TIMEOUT_S = 5.0
_MAX_ANSWER = 4096
_SHORT = 128


class OtlpExporter:
    """Implements `Exporter` for one receiver. Follows no redirects, tries nothing twice.

    The log says when it begins to fail, and when that is over.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        resource: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`endpoint` is the whole address, such as `http://collector:4318/v1/traces`."""
        self._endpoint = endpoint
        self._resource = [_pair(name, value) for name, value in resource.items()]
        self._headers = {"content-type": "application/x-protobuf", **(headers or {})}
        self._trouble = ""
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, timeout_s), read=timeout_s),
        )

    def export(self, spans: Sequence[Span]) -> bool:
        trouble = self._send(spans)
        if trouble and not self._trouble:
            _LOG.warning(
                "the collector at `%s` does not take spans: %s",
                *(self._endpoint, trouble),
                extra={
                    "code": "unavailable",
                    "hint": "`server.tracing` names it; what it does not take is dropped",
                },
            )
        elif self._trouble and not trouble:
            _LOG.info("the collector at `%s` takes spans again", self._endpoint)
        self._trouble = trouble
        return not trouble

    def _send(self, spans: Sequence[Span]) -> str:
        """Send a batch; return why it was not taken, if it was not."""
        body = encode(spans, self._resource)
        try:
            response = self._pool.request(
                "POST",
                self._endpoint,
                body=body,
                headers=self._headers,
                redirect=False,
                preload_content=False,
            )
            response.read(_MAX_ANSWER)
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return type(error).__name__
        taken = 200 <= response.status < 300  # noqa: PLR2004  the class of successes
        return "" if taken else f"it answered {response.status}"

    def close(self) -> None:
        self._pool.clear()


def encode(spans: Sequence[Span], resource: Sequence[KeyValue]) -> bytes:
    """Return the body of one export request."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(resource)
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "lockgate", __version__
    scope.spans.extend(_span(span) for span in spans)
    encoded: bytes = request.SerializeToString()
    return encoded


def _span(span: Span) -> trace_pb2.Span:
    found = trace_pb2.Span(
        trace_id=span.trace.trace_id.to_bytes(16, "big"),
        span_id=span.span_id.to_bytes(8, "big"),
        parent_span_id=span.parent_id.to_bytes(8, "big") if span.parent_id else b"",
        trace_state=span.trace.state.decode("ascii"),
        name=span.name.encode("utf-8", "replace").decode(),
        kind=trace_pb2.Span.SpanKind.ValueType(int(span.kind)),
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=[_attribute(name, value) for name, value in span.attributes.items()],
    )
    if span.failed:
        found.status.code = trace_pb2.Status.STATUS_CODE_ERROR
    return found


def _attribute(name: str, value: Attribute) -> KeyValue:
    # Most values are those of the span before: to make a message takes longer than to copy one.
    is_short = isinstance(value, str) and len(value) <= _SHORT
    return _kept(name, value) if is_short or isinstance(value, int) else _pair(name, value)


@lru_cache(maxsize=2048, typed=True)
def _kept(name: str, value: str | int) -> KeyValue:
    return _pair(name, value)


def _pair(name: str, value: Attribute) -> KeyValue:
    return KeyValue(key=name, value=_any(value))


def _any(value: Attribute) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            # Numbers of our own fit; a client's may not.
            return AnyValue(int_value=max(-(2**63), min(value, 2**63 - 1)))
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value.encode("utf-8", "replace").decode())
        case _:
            return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
