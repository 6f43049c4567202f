"""Durable state: the audit log, content, pointers to releases, and what replicas share."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lockgate.domain.audit import AuditEvent, Entry, Head
from lockgate.domain.digest import Digest
from lockgate.domain.promotion import Alias, Promotion


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The stored content of a call: the sanitised input, the output, the inferences."""

    data: bytes
    """Canonical JSON."""
    expires_at: datetime | None


class Unit(Protocol):
    """One transaction. All methods see and make changes together."""

    async def append(self, entry: Entry) -> AuditEvent:
        """Chain one more event. Concurrent writers are serialised."""
        ...

    async def head(self) -> Head: ...

    async def event(self, call: str) -> AuditEvent | None:
        """Return the newest event with that id."""
        ...

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[AuditEvent]:
        """Return events with `seq > after` in order, at most `limit`."""
        ...

    async def recent(
        self, *, limit: int, task: str | None = None, before: int | None = None
    ) -> Sequence[AuditEvent]:
        """Return the newest events, newest first; only those of `task`, or before a `seq`."""
        ...

    async def put_payload(self, digest: Digest, payload: Payload) -> None:
        """Store content by its digest; storing it again prolongs it, never shortens."""
        ...

    async def payload(self, digest: Digest) -> bytes | None: ...

    async def drop_expired(self, now: datetime, *, limit: int = 1000) -> int:
        """Delete payloads that expired before `now`, in one bounded batch; return how many."""
        ...


class Store(Protocol):
    """Durable state."""

    def begin(self) -> AbstractAsyncContextManager[Unit]:
        """Open a transaction: committed at the end of the block, rolled back on an exception.

        Raises:
            StorageFailed: the database cannot be opened, locked or written.

        """
        ...


class Pointers(Protocol):
    """Which release has a name, and which runs where. Part of one transaction."""

    async def put_alias(self, alias: Alias) -> None:
        """Set or move an alias."""
        ...

    async def drop_alias(self, task: str, name: str) -> bool:
        """Delete an alias; return whether there was one."""
        ...

    async def aliases(self, task: str | None = None) -> Sequence[Alias]:
        """Return all aliases, or those of one task, by task and name."""
        ...

    async def add_promotion(self, promotion: Promotion) -> None:
        """Note that a release took over. The newest one of an environment and a task holds."""
        ...

    async def promotions(
        self, *, environment: str | None = None, task: str | None = None, limit: int = 1
    ) -> Sequence[Promotion]:
        """Return the newest promotions, newest first."""
        ...


class StateUnit(Unit, Pointers, Protocol):
    """One transaction over all durable state."""


class State(Protocol):
    """Durable state with the pointers to releases; also a `Store`."""

    def begin(self) -> AbstractAsyncContextManager[StateUnit]:
        """Open a transaction. As `Store.begin`."""
        ...


class SharedState(Protocol):
    """Small texts by name that every replica sees: leases of limits, the kill switch."""

    async def read(self, name: str) -> str | None:
        """Return the text of that name.

        Raises:
            StorageFailed: the database does not answer.

        """
        ...

    async def change(self, name: str, change: Callable[[str | None], str]) -> None:
        """Replace a text by what `change` makes of it; no other replica comes in between.

        `change` is pure: it may be called again, on any thread. Raises as `read`.
        """
        ...
