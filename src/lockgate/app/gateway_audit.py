"""Audit events of calls, written together: one call of the system for some milliseconds of them."""

import asyncio
from datetime import UTC, datetime
from typing import Final

import msgspec

from lockgate.app.books import Books
from lockgate.books.records import encode_audited
from lockgate.domain.audit import Entry
from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import StorageFailed, Unavailable

_encode = msgspec.json.Encoder(order="sorted").encode
_EXACT: Final = 2**53
GATHER_S = 0.01
MAX_WAITING = 20_000
_RETRY_S = 0.5
_BATCH = 256


class GroupedAudit:
    """Implements `AuditSink`. Belongs to one event loop.

    A process that is killed loses the events of its last `GATHER_S`; what a call costs is booked
    before the call, and is never among them.
    """

    records = True

    @property
    def waiting(self) -> int:
        """See `AuditSink.waiting`."""
        return len(self._waiting)

    def __init__(self, books: Books) -> None:
        self._books = books
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def refuse_if_full(self) -> None:
        """See `AuditSink.refuse_if_full`."""
        self._books.refuse_if_full()
        if len(self._waiting) > MAX_WAITING:
            raise Unavailable(
                f"{len(self._waiting)} audit events wait for the disk",
                hint="free some space: calls that cannot be recorded are refused",
            )

    def note(self, call: str, actor: str, subject: str, detail: JsonObject) -> None:
        """See `AuditSink.note`."""
        entry = Entry(
            id=call,
            at=datetime.now(UTC),
            actor=actor,
            action="call",
            subject=subject,
            detail=detail,
        )
        self._waiting.append(encode_audited(entry, quick_canonical(detail)))
        if self._timer is None:
            self._timer = self._loop.call_later(GATHER_S, self._write)

    def close(self) -> None:
        """Write what waits. Raises StorageFailed if the disk does not take it."""
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            self._books.audit_all(self._waiting[:_BATCH])
            del self._waiting[:_BATCH]

    def _write(self) -> None:
        self._timer = None
        try:
            self._books.audit_all(self._waiting[:_BATCH])
        except StorageFailed:
            self._timer = self._loop.call_later(_RETRY_S, self._write)
            return
        del self._waiting[:_BATCH]
        if self._waiting:
            self._timer = self._loop.call_later(0, self._write)


class NoAudit:
    """Records no calls of models; the audit log has those of tasks. Implements `AuditSink`."""

    records = False
    waiting = 0

    def refuse_if_full(self) -> None: ...

    def note(self, call: str, actor: str, subject: str, detail: JsonObject) -> None: ...


def quick_canonical(value: JsonObject) -> bytes | None:
    """Return what `domain.digest.canonical` does for what a call leaves, in a tenth of the time.

    None for what the two would write differently: fractions, integers that no double holds, and
    what is not ASCII, whose keys RFC 8785 sorts in an order of its own.
    """
    if not all(map(_is_plain, value.values())):
        return None
    try:
        encoded = _encode(value)
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return encoded if encoded.isascii() else None


def _is_plain(value: Json) -> bool:
    kind = type(value)
    if kind is str or value is None:
        return True
    if isinstance(value, int):
        return -_EXACT <= value <= _EXACT
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, list) and all(map(_is_plain, value))
