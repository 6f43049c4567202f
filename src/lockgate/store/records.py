"""Domain objects to rows and back. The only module that knows both."""

import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from lockgate.domain.audit import AuditEvent, Entry, Head, WrittenEntry, seal_all, write
from lockgate.domain.audit_export import MAX_EVENT_BYTES, decode_event
from lockgate.domain.digest import Digest
from lockgate.domain.promotion import Alias, Promotion
from lockgate.errors import Corrupt, StorageFailed, UsageError
from lockgate.ports import Payload
from lockgate.store import pointers, shared_state
from lockgate.store.budgets import SqlBudgets
from lockgate.store.calls import SqlCalls
from lockgate.store.keys import SqlKeys
from lockgate.store.sql import Connection, Driver, Row, Value
from lockgate.store.usage import SqlUsage

MAX_PAYLOAD_BYTES = 256 << 20
_BEFORE_ALL = -(2**63)
_AFTER_ALL = 2**63 - 1
_COLUMN_CHARACTERS = 256
_NEVER = datetime.max.replace(tzinfo=UTC)
_FAST = 1


class SqlUnit:
    """Implements `ports.GatewayUnit` on a Connection."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self._locked = False
        self.keys = SqlKeys(connection)
        self.budgets = SqlBudgets(connection)
        self.usage = SqlUsage(connection)
        self.calls = SqlCalls(connection)

    async def append(self, entry: Entry) -> AuditEvent:
        await self.lock_audit()
        before = await self.head()
        head = await self._chain(before, [write(entry)])
        return AuditEvent(seq=head.seq, entry=entry, previous=before.digest, digest=head.digest)

    async def append_all(self, entries: Sequence[WrittenEntry]) -> Head:
        await self.lock_audit()
        return await self._chain(await self.head(), entries)

    async def _chain(self, before: Head, entries: Sequence[WrittenEntry]) -> Head:
        head, encoded = seal_all(before, entries)
        numbered = enumerate(zip(entries, encoded, strict=True), before.seq + 1)
        rows: list[dict[str, Value]] = [
            {
                "seq": seq,
                "id": _column(entry.id),
                "at": entry.at,
                "action": _column(entry.action),
                "subject": _column(entry.subject),
                "body": _body(entry, body),
            }
            for seq, (entry, body) in numbered
        ]
        await self._db.run_many("append_event", rows)
        if rows:
            await self._db.run("put_head", seq=head.seq, digest=str(head.digest))
        return head

    async def head(self) -> Head:
        for row in await self._db.run("head"):
            try:
                return Head(seq=_int(row, "seq"), digest=Digest.parse(_text(row, "digest")))
            except UsageError as error:
                raise Corrupt(f"the head of the audit log: {error.message}") from error
        return Head()

    async def event(self, call: str) -> AuditEvent | None:
        rows = await self._db.run("event", id=_column(call))
        return _event(rows[0]) if rows else None

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[AuditEvent]:
        # A row with a number that no event has, such as 0, must not hide in front of the first.
        first = after or _BEFORE_ALL
        return [_event(row) for row in await self._db.run("events", after=first, most=limit)]

    async def recent(
        self, *, limit: int, task: str | None = None, before: int | None = None
    ) -> Sequence[AuditEvent]:
        subject = None if task is None else _column(task)
        last = _AFTER_ALL if before is None else before
        rows = await self._db.run("recent", subject=subject, before=last, most=limit)
        return [_event(row) for row in rows]

    async def put_payload(self, digest: Digest, payload: Payload) -> None:
        await self.lock_audit()
        await self._db.run(
            "put_payload",
            digest=str(digest),
            data=zlib.compress(payload.data, _FAST),
            expires_at=_time(payload.expires_at or _NEVER),
        )

    async def payload(self, digest: Digest) -> bytes | None:
        for row in await self._db.run("payload", digest=str(digest)):
            data = row["data"]
            if not isinstance(data, bytes):
                raise Corrupt(f"the payload `{digest}` is not bytes")
            content = _inflate(data, digest)
            if Digest.of(content) != digest:
                raise Corrupt(f"the payload `{digest}` holds other bytes: {Digest.of(content)}")
            return content
        return None

    async def drop_expired(self, now: datetime, *, limit: int = 1000) -> int:
        await self.lock_audit()
        return len(await self._db.run("drop_expired", now=_time(now), most=limit))

    async def put_alias(self, alias: Alias) -> None:
        await self.lock_audit()
        await pointers.put_alias(self._db, alias)

    async def drop_alias(self, task: str, name: str) -> bool:
        await self.lock_audit()
        return await pointers.drop_alias(self._db, task, name)

    async def aliases(self, task: str | None = None) -> Sequence[Alias]:
        return await pointers.aliases(self._db, task)

    async def add_promotion(self, promotion: Promotion) -> None:
        await self.lock_audit()
        await pointers.add_promotion(self._db, promotion)

    async def promotions(
        self, *, environment: str | None = None, task: str | None = None, limit: int = 1
    ) -> Sequence[Promotion]:
        return await pointers.promotions(self._db, environment, task, limit)

    async def lock_audit(self) -> None:
        # All writers take this one first: two that lock payloads in another order would wait for
        # each other.
        if not self._locked:
            await self._db.lock("audit")
            self._locked = True


class SqlStore:
    """Implements `ports.GatewayState` and `ports.SharedState` on any Driver.

    `store.sql.Connection` says what may run at once.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[SqlUnit]:
        async with self._driver.transaction() as connection:
            yield SqlUnit(connection)

    async def read(self, name: str) -> str | None:
        """See `ports.SharedState`."""
        async with self._driver.transaction() as connection:
            return await shared_state.read(connection, name)

    async def change(self, name: str, change: Callable[[str | None], str]) -> None:
        """See `ports.SharedState`."""
        async with self._driver.transaction() as connection:
            await shared_state.change(connection, name, change)


def _body(entry: WrittenEntry, encoded: bytes) -> str:
    if len(encoded) > MAX_EVENT_BYTES:
        raise StorageFailed(
            f"the audit event of `{entry.id[:80]}` has {len(encoded)} bytes, "
            f"the most is {MAX_EVENT_BYTES}"
        )
    return encoded.decode("utf-8")


def _columns(entry: Entry) -> dict[str, str]:
    return {
        "id": _column(entry.id),
        "at": _time(entry.at),
        "action": _column(entry.action),
        "subject": _column(entry.subject),
    }


def _column(text: str) -> str:
    # For finding only, so it may lose what PostgreSQL cannot store (NUL, lone surrogates) or
    # index (long text); the body is JSON, where everything is whole.
    short = text[:_COLUMN_CHARACTERS]
    if short.isascii():
        return short.replace("\0", "\ufffd")
    encodable = short.encode("utf-8", "replace").decode("utf-8")
    return encodable.replace("\0", "\ufffd")


def _event(row: Row) -> AuditEvent:
    """Read a row, and hold its columns to its body: an edit of either shows."""
    event = decode_event(_text(row, "body").encode("utf-8", "surrogateescape"))
    expected = {"seq": event.seq, **_columns(event.entry)}
    for name, value in expected.items():
        if row[name] != value:
            raise Corrupt(
                f"audit event {event.seq}: its column `{name}` is `{str(row[name])[:80]!a}`, "
                f"its body says `{str(value)[:80]!a}`",
                hint="the log was edited; compare it with an export",
            )
    return event


def _inflate(data: bytes, digest: Digest) -> bytes:
    try:
        inflater = zlib.decompressobj()
        content = inflater.decompress(data, MAX_PAYLOAD_BYTES)
    except zlib.error as error:
        raise Corrupt(f"the payload `{digest}` does not inflate: {error}") from error
    if inflater.unconsumed_tail or not inflater.eof:
        raise Corrupt(f"the payload `{digest}` is cut off or larger than {MAX_PAYLOAD_BYTES} bytes")
    return content


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def _text(row: Row, column: str) -> str:
    value = row[column]
    if not isinstance(value, str):
        raise Corrupt(f"the column `{column}` of the audit log is not text")
    return value


def _int(row: Row, column: str) -> int:
    value = row[column]
    if not isinstance(value, int):
        raise Corrupt(f"the column `{column}` of the audit log is not an integer")
    return value
