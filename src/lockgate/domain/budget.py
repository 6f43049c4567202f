"""Budgets, the buckets that they are counted in, and what a call leaves in the ledger."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from lockgate.domain.money import TokenCounts
from lockgate.errors import UsageError

ACCOUNT_KINDS: Final = ("team", "key", "task")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,255}")


class Period(StrEnum):
    """How long a budget lasts. Days and months are those of UTC."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """One account in one period: what a limit is held against."""

    account: str
    """`team:NAME`, `key:ID` or `task:NAME`."""
    period: str
    """`day:2026-11-21`, `month:2026-11` or `total`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that an account may spend in each period of a kind."""

    account: str
    period: Period
    nanos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A bucket as the database has it."""

    bucket: Bucket
    lent: int
    """Nanos that replicas hold or have spent. Never more than the limit was when it was lent."""
    spent: int
    """Nanos of settled calls in the ledger; the rest of `lent` is in replicas' hands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """What a replica got of a bucket, and what is left there for others."""

    nanos: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What a replica holds of a bucket, spent or not."""

    replica: str
    bucket: Bucket
    nanos: int
    spent: int
    expires_at: datetime


class UsageEvent(NamedTuple):
    """One call in the usage ledger. Never changed once written; `id` makes it unique."""

    id: str
    at: datetime
    """When it was reserved: the period that it counts in."""
    key: str
    team: str
    model: str
    counts: TokenCounts
    nanos: int
    task: str = ""
    """Empty for a call of a model that is no task."""
    route: str = ""
    release: str = ""
    flags: frozenset[str] = frozenset()
    """`assumed-price`, `estimated`, `lost` (the replica died before it settled), `over` (more
    than was reserved), `cancelled`."""


def bucket(account: str, period: Period, at: datetime) -> Bucket:
    """Return the bucket that a call at a time falls into."""
    day = at.astimezone(UTC)
    match period:
        case Period.DAY:
            return Bucket(account, f"day:{day:%Y-%m-%d}")
        case Period.MONTH:
            return Bucket(account, f"month:{day:%Y-%m}")
        case Period.TOTAL:
            return Bucket(account, "total")


def check_account(text: str) -> str:
    """Return `text` if it is an account.

    Raises:
        UsageError: it is not.

    """
    kind, _, name = text.partition(":")
    if kind not in ACCOUNT_KINDS or not _NAME.fullmatch(name):
        raise UsageError(
            f"`{text[:80]}` is not an account",
            hint=f"an account is KIND:NAME, of the kinds {', '.join(ACCOUNT_KINDS)}",
        )
    return text
