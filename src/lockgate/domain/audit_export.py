"""The export of an audit log: JSON Lines that a verifier without a database can check.

Every line is the canonical JSON (RFC 8785) of one event, in order, and ends with a line feed. The
last line is the head: `{"head":{"digest":"sha256:…","seq":N}}`. A line that is not byte for byte
the canonical form of what it says is refused, so no edit goes unseen, white space included.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from lockgate.domain.audit import AuditEvent, Entry, Head, end, follow
from lockgate.domain.digest import Digest, Json, JsonObject, canonical
from lockgate.errors import Corrupt, UsageError

MAX_EVENT_BYTES = 16 << 20
MAX_LINE_BYTES = MAX_EVENT_BYTES + 1
_MEMBERS = frozenset(
    {"seq", "id", "at", "actor", "action", "subject", "detail", "previous", "digest"}
)
_HEAD = frozenset({"seq", "digest"})


def encode_event(event: AuditEvent) -> bytes:
    """Return the canonical JSON of an event, digest included. `decode_event` is its inverse."""
    return canonical(event.document)


def decode_event(data: bytes) -> AuditEvent:
    """Read one event.

    Raises:
        Corrupt: `data` is not the canonical form of an event.

    """
    document = _document(data)
    if document.keys() != _MEMBERS:
        raise Corrupt(f"an audit event has the members {sorted(document)}")
    detail = document["detail"]
    seq = document["seq"]
    if not isinstance(detail, dict) or not isinstance(seq, int) or isinstance(seq, bool):
        raise Corrupt("an audit event has a malformed `detail` or `seq`")
    event = AuditEvent(
        seq=seq,
        entry=Entry(
            id=_text(document, "id"),
            at=_time(_text(document, "at")),
            actor=_text(document, "actor"),
            action=_text(document, "action"),
            subject=_text(document, "subject"),
            detail=detail,
        ),
        previous=_digest(document, "previous"),
        digest=_digest(document, "digest"),
    )
    if _written(event.document) != data:
        raise Corrupt(f"audit event {seq} is not written in canonical JSON: it was edited")
    return event


def encode_head(head: Head) -> bytes:
    """Return the last line of an export, without its line feed."""
    return canonical({"head": {"seq": head.seq, "digest": str(head.digest)}})


def verify_export(lines: Iterable[bytes]) -> int:
    """Check an export, given as lines with their line feeds, and return the number of events.

    Raises:
        Corrupt: anything was edited, added, removed, reordered or cut off.

    """
    at = Head()
    source = enumerate(lines, 1)
    for number, line in source:
        body = _body(number, line)
        if body.startswith(b'{"head":'):
            end(at, _head(body))
            break
        at = follow(at, decode_event(body))
    else:
        raise Corrupt(
            "the export has no head line: its end was cut off",
            hint="export it again with `lockgate audit export`",
        )
    if next(source, None) is not None:
        raise Corrupt("the export goes on after its head")
    return at.seq


def _body(number: int, line: bytes) -> bytes:
    if len(line) > MAX_LINE_BYTES:
        raise Corrupt(f"line {number} is longer than {MAX_LINE_BYTES} bytes")
    if not line.endswith(b"\n"):
        raise Corrupt(f"line {number} does not end with a line feed: the export was cut")
    return line[:-1]


def _head(line: bytes) -> Head:
    document = _document(line)
    head = document.get("head")
    if not isinstance(head, dict):
        raise Corrupt("the head line is malformed")
    seq = head.get("seq")
    if not isinstance(seq, int) or isinstance(seq, bool):
        raise Corrupt("the head line has a malformed `seq`")
    found = Head(seq=seq, digest=_digest(head, "digest"))
    if _written(document) != line or document.keys() != {"head"} or head.keys() != _HEAD:
        raise Corrupt("the head line is not written in canonical JSON: it was edited")
    return found


def _document(data: bytes) -> JsonObject:
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"an audit line is not JSON: {str(error)[:80]}") from error
    if not isinstance(value, dict):
        raise Corrupt("an audit line is not a JSON object")
    return value


def _written(value: Json) -> bytes | None:
    """Return the canonical form; None if there is none, since parsing takes more than RFC 8785."""
    try:
        return canonical(value)
    except (ValueError, RecursionError):  # 1e999, a lone surrogate, 10,000 brackets
        return None


def _text(document: JsonObject, member: str) -> str:
    value: Json = document[member]
    if not isinstance(value, str):
        raise Corrupt(f"the member `{member}` of an audit event is not a string")
    return value


def _digest(document: JsonObject, member: str) -> Digest:
    value = document.get(member)
    try:
        return Digest.parse(str(value))
    except UsageError as error:
        raise Corrupt(f"the member `{member}` of an audit event: {error.message}") from error


def _time(text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise Corrupt(f"`{text[:40]}` is not a time") from error
    if value.tzinfo is None or value.utcoffset() != UTC.utcoffset(None):
        raise Corrupt(f"`{text[:40]}` is not in UTC")
    return value
