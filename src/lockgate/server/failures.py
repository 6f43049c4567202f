"""Errors as HTTP answers, in the shape that OpenAI clients know."""

import math
from dataclasses import dataclass

import msgspec

from lockgate.errors import (
    Corrupt,
    Denied,
    InvalidConfig,
    InvalidInput,
    LockgateError,
    NoAnswer,
    NotFound,
    OverBudget,
    Overloaded,
    RequestRefused,
    StorageFailed,
    Taken,
    TurnedOff,
    Unauthenticated,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
    UsageError,
)

_encode = msgspec.json.Encoder().encode


class HttpFailure(LockgateError):
    """An answer other than success that no error of the tree stands for."""

    code = "http"

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.stable_code = code
        self.headers = headers
        self.param = param


@dataclass(frozen=True, slots=True)
class Failure:
    """What is sent."""

    status: int
    code: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


_STATUS: tuple[tuple[type[LockgateError], int], ...] = (
    (InvalidInput, 400),
    (NotFound, 404),
    (Taken, 409),
    (Denied, 403),
    (InvalidConfig, 500),
    (Unauthenticated, 401),
    (UsageError, 400),
    (OverBudget, 429),
    (UpstreamTimeout, 504),
    (UpstreamFailed, 502),
    (RequestRefused, 400),
    (NoAnswer, 503),
    (Unavailable, 503),
    (StorageFailed, 503),
    (Corrupt, 500),
)
"""The first that fits."""
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
"""What OpenAI's own API calls them; everything else is a `server_error`."""


def failure(error: LockgateError) -> Failure:
    """Return the answer for an error."""
    if isinstance(error, HttpFailure):
        body = error_body(error.status, error.stable_code, error.message, error.param)
        return Failure(error.status, error.stable_code, body, error.headers)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    hint = error.request_hint or error.hint
    message = f"{error.message}: {hint}" if hint else error.message
    body = error_body(status, error.code, message)
    return Failure(status, error.code, body, _headers(error))


def code_of(error: LockgateError) -> str:
    """Return the code that the client sees."""
    return error.stable_code if isinstance(error, HttpFailure) else error.code


NO_USE = (b"x-should-retry", b"false")
"""OpenAI's clients send what they get 429 or 503 for again, unless this says that it is no use."""
_WHY = {"guard-blocked": "guard", "upstream-busy": "status", "upstream-refused": "status"}


def why_of(error: LockgateError) -> str:
    """Return the kind of failure that metrics count; empty if no model failed."""
    if isinstance(error, TurnedOff | RequestRefused):
        return ""
    if isinstance(error, Unavailable):
        return error.why
    return _WHY.get(code_of(error), "")


_REFUSED = frozenset({"upstream-busy", "upstream-refused"})


def costs_nothing(error: LockgateError) -> bool:
    """Say whether whoever was asked did no work: it was not reached, or it said no."""
    if isinstance(error, Unavailable):
        return error.is_free
    return code_of(error) in _REFUSED


def _headers(error: LockgateError) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(error, Unauthenticated):
        return ((b"www-authenticate", b"Bearer"),)
    if isinstance(error, OverBudget | TurnedOff):
        return (NO_USE,)
    if isinstance(error, Overloaded) and error.retry_after_s is not None:
        return ((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))),)
    return ()


def error_body(status: int, code: str, message: str, param: str | None = None) -> bytes:
    """Return the JSON body of an error."""
    kind = _TYPES.get(status, "server_error")
    return _encode({"error": {"message": message, "type": kind, "param": param, "code": code}})
