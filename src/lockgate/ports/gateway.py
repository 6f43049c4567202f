"""Durable state of the gateway: keys, budgets, usage."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lockgate.domain.audit import Head, WrittenEntry
from lockgate.domain.budget import Balance, Bucket, Budget, Lease, Loan, Period, UsageEvent
from lockgate.domain.identity import GatewayKey, KeySecret
from lockgate.domain.money import TokenCounts
from lockgate.ports.state import SharedState, StateUnit


class Keys(Protocol):
    """The gateway's API keys. Part of one transaction."""

    async def version(self) -> int:
        """Return a number that every change moves."""
        ...

    async def add(self, key: GatewayKey, secret: KeySecret) -> None:
        """Store a new key. Raises Taken if there is one with its id."""
        ...

    async def rotate(self, secret: KeySecret, *, old_until: datetime) -> None:
        """Add a secret to a key; its others end at `old_until`. Raises NotFound."""
        ...

    async def revoke(self, key: str, at: datetime) -> bool:
        """End a key and its secrets; return whether it was valid."""
        ...

    async def all(self) -> Sequence[GatewayKey]: ...

    async def secrets(self) -> Sequence[KeySecret]: ...


class BudgetBook(Protocol):
    """Limits, and what is lent of them to replicas. Part of one transaction."""

    async def put(self, budget: Budget) -> None: ...

    async def drop(self, account: str, period: Period) -> bool: ...

    async def all(self) -> Sequence[Budget]: ...

    async def balances(self) -> Sequence[Balance]: ...

    async def leases(self, replica: str | None = None) -> Sequence[Lease]: ...

    async def lend(self, lease: Lease, *, limit: int, need: int) -> Loan:
        """Add to a replica's lease about `lease.nanos`, at least `need`, or nothing.

        Atomic: what is lent never exceeds `limit`, however many replicas ask at once.
        """
        ...

    async def give_back(self, replica: str, bucket: Bucket, nanos: int) -> bool:
        """Return unspent nanos; False, and nothing changed, if the lease does not have them."""
        ...

    async def spend(
        self, replica: str, spent: Mapping[Bucket, int], *, expires_at: datetime
    ) -> None:
        """Count nanos of a replica's lease as spent."""
        ...

    async def renew(self, replica: str, expires_at: datetime) -> None: ...

    async def close(self, replica: str, *, keep: bool = False) -> None:
        """End a replica's leases: what is unspent returns, or counts as spent with `keep`."""
        ...

    async def prune(self, before: datetime, *, limit: int) -> int:
        """Delete what is left of days and months that ended before that of `before`.

        Leases that still hold money stay, and their buckets. Returns how many rows are gone.
        """
        ...


MOST_DIMENSIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotal:
    """The sum of many usage events."""

    names: tuple[str, ...]
    """One for each dimension, in their order; empty where the calls had none."""
    calls: int
    counts: TokenCounts
    nanos: int


class UsageLedger(Protocol):
    """The usage events, and how far each replica's spool was taken over. One transaction."""

    async def open_spool(self, replica: str) -> int:
        """Return how far a spool is in the ledger: 0 for a new one, -1 for a closed one."""
        ...

    async def spool(self, replica: str) -> int | None:
        """Return the position of a spool, -1 for a closed one; None if it never was opened."""
        ...

    async def advance(self, replica: str, before: int, after: int) -> bool:
        """Move the position if it is still `before`: who gets True adds the events, once."""
        ...

    async def close_spool(self, replica: str) -> None:
        """Note, for good, that all of a spool is in the ledger."""
        ...

    async def forget_spool(self, replica: str) -> None:
        """Forget a closed spool, whose folder is gone: there will be no other of its name."""
        ...

    async def add(self, events: Sequence[UsageEvent]) -> None:
        """Add events; those whose id is there already are left as they are."""
        ...

    async def events(self, *, since: datetime, limit: int) -> Sequence[UsageEvent]:
        """Return the newest events, newest first."""
        ...

    async def page(
        self, *, after: tuple[datetime, str], until: datetime, limit: int
    ) -> Sequence[UsageEvent]:
        """Return events in the order of their times and ids, from behind the one of `after`."""
        ...

    async def totals(
        self, dimensions: Sequence[str], *, since: datetime, until: datetime, limit: int
    ) -> Sequence[UsageTotal]:
        """Sum by `team`, `key`, `task`, `route`, `model`, `release` or `day`, the dearest first.

        At most `MOST_DIMENSIONS` at once. Days whose events were rolled up count as a whole.
        """
        ...

    async def roll_up(self, before: datetime, *, limit: int) -> int:
        """Put the sums of a day in the place of its oldest events; return how many are gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCall:
    """A call of a task that replicas share: being made, or ended."""

    id: str
    owner: str
    task: str
    digest: str
    """Of its input: the same key with another input is a mistake."""
    holder: str
    """Who makes it."""
    until: datetime
    """When the claim ends, or the answer goes."""
    answer: str | None = None
    """Canonical JSON; None while it is being made, and if it failed."""
    failure: str | None = None
    """Canonical JSON of what is told of its failure."""


class CallBook(Protocol):
    """Calls that are made once, whichever replica is asked. Part of one transaction."""

    async def claim(self, call: KeptCall, now: datetime) -> bool:
        """Say whether it is the caller's to make: nobody has it, or it failed, or is too old."""
        ...

    async def find(self, name: str) -> KeptCall | None: ...

    async def keep(self, call: KeptCall) -> bool:
        """Write what came of it, or prolong the claim, of whoever still holds it; say whether."""
        ...

    async def give_up(self, call: KeptCall) -> None:
        """Let others make a call of which nothing came."""
        ...

    async def drop_expired(self, now: datetime, *, lost: datetime, limit: int) -> int:
        """Delete calls whose time is over, claims if it was before `lost`; return how many."""
        ...


class GatewayUnit(StateUnit, Protocol):
    """One transaction over all durable state, the gateway's included."""

    async def lock_audit(self) -> None:
        """Be the only one who appends, until the transaction ends."""
        ...

    async def append_all(self, entries: Sequence[WrittenEntry]) -> Head:
        """Chain many events, in order: one lock and one new head, which is returned, for all."""
        ...

    @property
    def keys(self) -> Keys: ...

    @property
    def budgets(self) -> BudgetBook: ...

    @property
    def usage(self) -> UsageLedger: ...

    @property
    def calls(self) -> CallBook: ...


class GatewayState(SharedState, Protocol):
    """All durable state; also a `State` and a `Store`."""

    def begin(self) -> AbstractAsyncContextManager[GatewayUnit]:
        """Open a transaction. As `Store.begin`."""
        ...
