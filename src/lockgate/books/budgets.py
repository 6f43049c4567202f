"""Reserve before a call, settle after it. Nothing here waits but `acquire`."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Final

from lockgate.books.records import (
    CommonParts,
    common_parts,
    encode_released,
    encode_reserved,
    encode_settled,
)
from lockgate.books.slices import Slice, Slices
from lockgate.books.spool import Spool
from lockgate.domain.budget import Budget, Loan, UsageEvent
from lockgate.domain.money import money
from lockgate.errors import LockgateError, OverBudget, StorageFailed, Unavailable
from lockgate.ports import Clock

Lend = Callable[[Slice, int, int], "Future[Loan]"]
"""Asks the shared account for at least, and about, so many nanos for a slice. Thread-safe."""

_MOST: Final = 1 << 62
_ATTEMPTS: Final = 8
_BELIEVED_S: Final = 0.25
_IDLE_S: Final = 5.0


class Reservation:
    """Money held for one call, until it is settled or released: once."""

    __slots__ = ("common", "event", "is_open", "slices")

    def __init__(self, event: UsageEvent, slices: Sequence[Slice], common: CommonParts) -> None:
        self.event = event
        self.slices = slices
        self.common = common
        """What its records have in common."""
        self.is_open = True

    @property
    def nanos(self) -> int:
        """What is held."""
        return self.event.nanos


class Budgets:
    """The budgets as one replica sees them.

    It spends only what it has borrowed of the shared account, so all replicas together stay
    within each limit, whatever happens to any of them. `stopwatch` is monotonic, in seconds.
    """

    def __init__(self, *, spool: Spool, clock: Clock, stopwatch: Callable[[], float]) -> None:
        self._spool = spool
        self._clock = clock
        self._stopwatch = stopwatch
        self._slices = Slices()
        self._open: dict[str, Reservation] = {}
        self._lock = threading.Lock()
        self._unwritten: deque[bytes] = deque()
        self._lend: Lend | None = None
        self._filling: dict[Slice, asyncio.Future[None]] = {}
        self.is_loaded = False
        """Whether the limits are known. Until then nothing can be reserved."""
        self.over_nanos = 0
        """What calls cost beyond what was reserved for them: 0 while ceilings are right."""

    def connect(self, lend: Lend) -> None:
        """Say whom to borrow from."""
        self._lend = lend

    def load(self, budgets: Iterable[Budget]) -> Sequence[Slice]:
        """Take over limits; return the slices whose limit sank, to give back what is free."""
        with self._lock:
            lowered = self._slices.load(budgets)
            self.is_loaded = True
            return lowered

    def reserve(self, accounts: Sequence[str], worst: UsageEvent) -> Reservation | None:
        """Hold `worst.nanos` in every budget of the accounts, or in none.

        `worst` is the event as it will be written if this process dies before it settles: the
        call at its dearest. None means that this replica has too little at hand: await
        `acquire`, which asks the shared account.

        Raises:
            OverBudget: a budget has not so much left.
            Unavailable: the limits were never read: no limit is known is not no limit.
            StorageFailed: the spool cannot be written, so the call could not be accounted for.

        """
        if not self.is_loaded:
            raise Unavailable(
                "the budgets are not known yet", hint="the database has not answered; try again"
            )
        now = self._stopwatch()
        nanos = worst.nanos
        assert 0 <= nanos < _MOST, "what a call may cost is checked by the price file"
        with self._lock:
            slices = self._slices.of(accounts, worst.at)
            for one in slices:
                if one.free < nanos:
                    if nanos > one.limit or (now < one.left_until and one.free + one.left < nanos):
                        raise _over(one, nanos)
                    return None
            if worst.id in self._open:
                raise ValueError(f"there is a reservation `{worst.id}` already")
            common = common_parts(worst, [one.bucket for one in slices])
            self._spool.append(encode_reserved(worst, common))
            for one in slices:
                one.held += nanos
                one.used_at = now
            found = Reservation(worst, slices, common)
            self._open[worst.id] = found
            return found

    async def acquire(self, accounts: Sequence[str], worst: UsageEvent) -> Reservation:
        """As `reserve`, but borrow what is missing.

        Raises:
            OverBudget: a budget has not so much left, or others are quicker to take it.
            StorageFailed: the shared account or the spool does not answer.

        """
        for _ in range(_ATTEMPTS):
            found = self.reserve(accounts, worst)
            if found is not None:
                return found
            for one in self._short(accounts, worst):
                await self._fill(one, worst.nanos)
        for one in self._short(accounts, worst):
            raise _over(one, worst.nanos)
        raise OverBudget("the budget is taken by other calls at the moment", hint="try again")

    def settle(self, reservation: Reservation, event: UsageEvent) -> None:
        """Spend what the call did cost, and let go of the rest.

        `event` is that of the reservation with its own amounts, flags, model and release.
        The event is in the spool when this returns. If the disk has failed it is kept in memory,
        and should the process die then, the call counts as `reservation.event`.
        """
        assert reservation.is_open, f"`{event.id}` was settled or released before"
        worst, common = reservation.event, reservation.common
        assert event.id == worst.id
        over = max(0, event.nanos - worst.nanos)
        if event.model != worst.model or event.release != worst.release:
            common = common_parts(event, [one.bucket for one in reservation.slices])
        content = encode_settled(event, common)
        with self._lock:
            self._write(content)
            self._close(reservation, spent=event.nanos)
            self.over_nanos += over

    def release(self, reservation: Reservation) -> None:
        """Let go of all of it: the call was not made. Does nothing after `settle`."""
        if not reservation.is_open:
            return
        with self._lock:
            self._write(encode_released(reservation.event.id))
            self._close(reservation, spent=0)

    def maintain(self) -> None:
        """Write what a full disk has refused, and begin a new segment when it is time.

        Raises:
            StorageFailed: the disk still refuses.

        """
        with self._lock:
            while self._unwritten:
                self._spool.append(self._unwritten[0])
                self._unwritten.popleft()
            if self._spool.is_full():
                self._spool.rotate()
                # Now nothing in the old segments is needed once they are in the ledger.
                for one in self._open.values():
                    self._spool.append(encode_reserved(one.event, one.common))

    def wanting(self) -> Sequence[Slice]:
        """Return the slices that should borrow ahead, so that calls need not wait."""
        since = self._stopwatch() - _IDLE_S
        with self._lock:
            return [s for s in self._slices.all() if s.wants_more and s.used_at > since]

    def idle(self) -> Sequence[Slice]:
        """Return the slices with money that nobody here has used for a while."""
        now, since = self._clock(), self._stopwatch() - _IDLE_S
        with self._lock:
            return [
                one
                for one in self._slices.all()
                if one.used_at <= since or self._slices.is_past(one, now)
            ]

    def take_free(self, one: Slice) -> int:
        """Take what is free out of a slice, to give it back."""
        with self._lock:
            free = max(0, one.free)
            one.granted -= free
            one.last_loan = 0
            unused = not one.granted and not one.spent
            if (
                (unused or self._slices.is_past(one, self._clock()))
                and not one.held
                and one not in self._filling
            ):
                self._slices.drop(one)
            return free

    def lent(self, one: Slice, loan: Loan) -> None:
        """Add a loan to a slice; called on any thread."""
        with self._lock:
            one.granted += loan.nanos
            one.left = loan.left
            one.left_until = self._stopwatch() + _BELIEVED_S
            if loan.nanos:
                one.last_loan = loan.nanos

    def _short(self, accounts: Sequence[str], worst: UsageEvent) -> Sequence[Slice]:
        with self._lock:
            return [s for s in self._slices.of(accounts, worst.at) if s.free < worst.nanos]

    async def _fill(self, one: Slice, nanos: int) -> None:
        """Borrow for a slice; calls that need it at the same time share one loan."""
        assert self._lend is not None, "`connect` comes first"
        running = self._filling.get(one)
        if running is not None:
            one.waiting += nanos
            try:
                await asyncio.shield(running)
            except LockgateError:
                pass  # the one that asked says so; this one asks again
            finally:
                one.waiting -= nanos
            return
        task = asyncio.ensure_future(self._borrow(one, nanos))
        self._filling[one] = task
        try:
            await asyncio.shield(task)
        finally:
            if task.done():
                self._filling.pop(one, None)
            else:
                task.add_done_callback(lambda _: self._filling.pop(one, None))

    async def _borrow(self, one: Slice, nanos: int) -> None:
        assert self._lend is not None
        with self._lock:
            need = max(1, nanos - max(0, one.free))
        loan = await asyncio.wrap_future(self._lend(one, need, need + one.waiting))
        self.lent(one, loan)

    def _write(self, content: bytes) -> None:
        if not self._unwritten:
            try:
                self._spool.append(content)
            except StorageFailed:
                pass
            else:
                return
        self._unwritten.append(content)

    def _close(self, reservation: Reservation, *, spent: int) -> None:
        reservation.is_open = False
        self._open.pop(reservation.event.id, None)
        for one in reservation.slices:
            one.held -= reservation.nanos
            one.spent += spent


def _over(one: Slice, nanos: int) -> OverBudget:
    left = max(0, min(one.limit, one.free + one.left))
    return OverBudget(
        f"the budget of `{one.bucket.account}` for `{one.bucket.period}` has {money(left)} left "
        f"of {money(one.limit)}, and the call may cost {money(nanos)}",
        hint="ask for fewer output tokens, or see `lockgate budget list`",
        request_hint="ask for fewer output tokens, or see `GET /admin/budgets`",
    )
