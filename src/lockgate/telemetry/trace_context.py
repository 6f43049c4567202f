"""W3C Trace Context, read strictly (https://www.w3.org/TR/trace-context-2/).

A header that is wrong in any way is as good as none: a lenient reader would let a client choose
ids that other systems do not take.
"""

import re
from typing import NamedTuple

SAMPLED = 0x01
RANDOM = 0x02
MAX_MEMBERS = 32
MAX_STATE_BYTES = 512
_MAX_READ_BYTES = 4 * MAX_STATE_BYTES
"""With the space around commas that may be there."""
_PARENT = re.compile(
    rb"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})"
    rb"-(?P<flags>[0-9a-f]{2})(?P<rest>-.{0,200})?",
    re.DOTALL,
)
# Section 3.3.1.3.1: a simple key, or tenant@system. Each alternative is linear: the classes
# before and after `@` do not hold it.
_KEY = re.compile(
    rb"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
)
# Section 3.3.1.3.2: printable ASCII without comma and equals sign, not ending with a space.
_VALUE = re.compile(rb"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


class Parent(NamedTuple):
    """Where a request comes from."""

    trace_id: int
    span_id: int
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether the caller records this trace."""
        return bool(self.flags & SAMPLED)


def read_traceparent(header: bytes) -> Parent | None:
    """Return what a `traceparent` says, or None if it is not one.

    A later version is read as far as this one goes (section 4.3).
    """
    found = _PARENT.fullmatch(header)
    if found is None or found["version"] == b"ff":
        return None
    if found["version"] == b"00" and found["rest"] is not None:
        return None
    trace_id, span_id = int(found["trace"], 16), int(found["span"], 16)
    if not trace_id or not span_id:
        return None
    return Parent(trace_id, span_id, int(found["flags"], 16) & (SAMPLED | RANDOM))


def write_traceparent(parent: Parent) -> bytes:
    """Return the header for a call that continues here."""
    return b"00-%032x-%016x-%02x" % parent


def read_tracestate(headers: list[bytes]) -> bytes:
    """Return the members of all `tracestate` headers as one, or nothing if any of it is wrong.

    What exceeds 512 bytes is nothing, too: that is what everybody has to pass on (section 3.3.1.5).
    """
    if sum(map(len, headers)) > _MAX_READ_BYTES:
        return b""
    members = [member.strip(b" \t") for header in headers for member in header.split(b",")]
    members = [member for member in members if member]
    keys = [_key(member) for member in members]
    state = b",".join(members)
    if None in keys or len(set(keys)) != len(keys):
        return b""
    return state if len(members) <= MAX_MEMBERS and len(state) <= MAX_STATE_BYTES else b""


def _key(member: bytes) -> bytes | None:
    key, equals, value = member.partition(b"=")
    if equals and _KEY.fullmatch(key) and _VALUE.fullmatch(value):
        return key
    return None
