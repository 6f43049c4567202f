"""What a registry answered, as a value or as an error that a person can act on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from lockgate.errors import Denied, NotFound, UsageError

OK: Final = 200
CREATED: Final = 201
ACCEPTED: Final = 202
NO_CONTENT: Final = 204
PARTIAL: Final = 206
UNAUTHORISED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
RANGE_REFUSED: Final = 416
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_SHOWN: Final = 160
_MOST_DIGITS: Final = 19  # below 2**63


class Interrupted(Exception):
    """An attempt failed in a way that another may not; `wait_s` is the server's wish."""

    def __init__(self, reason: str, *, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer with a small body."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    data: bytes
    place: str
    """The address that was asked, without its query."""

    def header(self, name: str) -> str:
        """Return a header; empty if it is absent."""
        return self.headers.get(name, "")

    @property
    def reason(self) -> str:
        """The status, and what the registry says of it."""
        said = explanation(self.data)
        return f"{self.status}{f' ({said})' if said else ''}"


def explanation(data: bytes) -> str:
    """Return the first error of a body (distribution-spec, "Error Codes"), printable and short."""
    try:
        first = json.loads(data)["errors"][0]
        words = [first.get("code"), first.get("message")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return ""
    text = ": ".join(word for word in words if isinstance(word, str) and word)
    return "".join(c for c in text if c.isprintable())[:_SHOWN]


def refuse(answer: Answer, what: str) -> NoReturn:
    """Raise the error for an answer that ends the work. `what` was wanted.

    Raises:
        Denied: the credentials, or their absence, are the reason.
        NotFound: the registry does not have it.
        UsageError: the registry does not take the request.

    """
    message = f"{what}: the registry answered {answer.reason}"
    host = answer.place.partition("://")[2].partition("/")[0]
    if answer.status in {UNAUTHORISED, FORBIDDEN}:
        raise Denied(message, hint=f"log in with an account that may: skopeo login {host}")
    if answer.status == NOT_FOUND:
        raise NotFound(message, hint="check the repository, the tag and the digest")
    if answer.status in REDIRECTS:
        to = answer.header("location").partition("?")[0][:_SHOWN]
        raise Denied(f"{message} to `{to}`", hint="this request is not sent to another address")
    raise UsageError(message, hint="see whether the registry takes OCI artifacts of this kind")


def integer(text: str) -> int | None:
    """Read a number of a header; None if it is none, or not below 2**63."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read the seconds. A date (RFC 9110 10.2.3) needs a clock: the usual wait does instead."""
    seconds = integer(headers.get("retry-after", ""))
    return None if seconds is None else float(seconds)
