"""What one replica holds of each budget: plain numbers, changed only under the owner's lock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from lockgate.domain.budget import Bucket, Budget, Period, bucket


class Slice:
    """A replica's part of a bucket, in nanos. `granted` is what it borrowed and still has."""

    __slots__ = (
        "bucket",
        "granted",
        "held",
        "last_loan",
        "left",
        "left_until",
        "limit",
        "period",
        "spent",
        "used_at",
        "waiting",
    )

    def __init__(self, place: Bucket, period: Period, limit: int) -> None:
        self.bucket = place
        self.period = period
        self.limit = limit
        self.granted = 0
        self.held = 0
        """Reserved for calls that are being made."""
        self.spent = 0
        self.last_loan = 0
        self.left = limit
        """What others may still borrow, when that was last heard."""
        self.left_until = 0.0
        """Until when `left` is believed enough to refuse by it, in seconds of the stopwatch."""
        self.used_at = 0.0
        self.waiting = 0
        """What calls that wait for a loan need together."""

    @property
    def free(self) -> int:
        """What can be reserved without asking anybody."""
        return self.granted - self.spent - self.held

    @property
    def wants_more(self) -> bool:
        """Whether to borrow ahead of need: less than half of the last loan is free."""
        return bool(self.last_loan) and self.left > 0 and self.free < self.last_loan // 2


class Slices:
    """The slices of the accounts that have budgets, made when they are first used."""

    def __init__(self) -> None:
        self._limits: dict[str, tuple[Budget, ...]] = {}
        self._found: dict[str, tuple[Slice, ...]] = {}
        self._all: dict[Bucket, Slice] = {}
        self._day = date.min

    def load(self, budgets: Iterable[Budget]) -> Sequence[Slice]:
        """Take over new limits; return the slices whose limit is gone or lower now."""
        limits: dict[str, list[Budget]] = {}
        for budget in budgets:
            limits.setdefault(budget.account, []).append(budget)
        found = {account: tuple(each) for account, each in limits.items()}
        if found == self._limits:
            return ()
        self._limits, self._found = found, {}
        lowered: list[Slice] = []
        for one in self._all.values():
            limit = self._limit(one)
            if limit is None or limit < one.limit:
                lowered.append(one)
            if limit is not None:
                one.left += limit - one.limit
                one.limit = limit
            one.left_until = 0.0
        return lowered

    def of(self, accounts: Sequence[str], at: datetime) -> list[Slice]:
        """Return the slices that a call for these accounts is held against."""
        if at.date() != self._day:
            self._day, self._found = at.date(), {}
        found: list[Slice] = []
        for account in accounts:
            known = self._found.get(account)
            if known is None:
                if account not in self._limits:
                    continue  # not remembered: callers' names must not fill the memory
                known = tuple(self._slice(budget, at) for budget in self._limits[account])
                self._found[account] = known
            found += known
        return found

    def all(self) -> Sequence[Slice]:
        """Return every slice, those of past periods included."""
        return list(self._all.values())

    def is_past(self, one: Slice, at: datetime) -> bool:
        """Say whether the period of a slice is over."""
        return bucket(one.bucket.account, one.period, at) != one.bucket

    def drop(self, one: Slice) -> None:
        """Forget an empty slice."""
        self._all.pop(one.bucket, None)
        self._found = {}

    def spent(self) -> Mapping[Bucket, int]:
        """Return what was spent in each bucket since this process began."""
        return {place: one.spent for place, one in self._all.items()}

    def _slice(self, budget: Budget, at: datetime) -> Slice:
        place = bucket(budget.account, budget.period, at)
        return self._all.setdefault(place, Slice(place, budget.period, budget.nanos))

    def _limit(self, one: Slice) -> int | None:
        for budget in self._limits.get(one.bucket.account, ()):
            if budget.period is one.period:
                return budget.nanos
        return None
