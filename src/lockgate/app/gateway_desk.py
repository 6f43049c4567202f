"""What a call passes before and after it is made: the kill switch, rate limits, and money."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from typing import Final

from lockgate.app.books import Books
from lockgate.app.gateway_stages import Caller
from lockgate.books.budgets import Reservation
from lockgate.books.prices import Prices
from lockgate.books.reader import ceiling
from lockgate.domain.budget import UsageEvent
from lockgate.domain.money import Price, TokenCounts, cost
from lockgate.errors import RateLimited, TurnedOff
from lockgate.traffic.kill_switch import Kill, Kills
from lockgate.traffic.rate_limits import Limits, RateLimits, Taken

BYTES_PER_TOKEN: Final = 3
_MICRO: Final = 1_000_000
_UNPRICED: Final = Price(assumed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a call asks for."""

    call: str
    route: str
    model: str
    release: str
    task: str = ""
    prompt_bytes: int
    messages: int = 1
    output_tokens: int
    """The most that each answer may have."""
    choices: int = 1
    seconds: float = 0.0
    """The most that it may compute, for models that are priced by time."""


class Ticket:
    """A call that was let in. `settle` or `release` it, once; the first one counts."""

    __slots__ = ("_desk", "_is_open", "_price", "event", "prompt_bytes", "reservation", "taken")

    def __init__(
        self,
        desk: "Desk",
        taken: Taken,
        event: UsageEvent,
        price: Price,
        reservation: Reservation | None,
        prompt_bytes: int,
    ) -> None:
        self.prompt_bytes = prompt_bytes
        self._desk = desk
        self._price = price
        self._is_open = True
        self.taken = taken
        self.event = event
        self.reservation = reservation

    def settle(self, counts: TokenCounts, *, flags: frozenset[str] = frozenset()) -> int:
        """Book what the call took; return its cost in nanos."""
        if not self._is_open:
            return 0
        self._is_open = False
        nanos = cost(counts, self._price)
        self._desk.settle(self, counts, nanos, flags)
        return nanos

    def release(self) -> None:
        """Book nothing: the call was not made."""
        if not self._is_open:
            return
        self._is_open = False
        self._desk.release(self)


class Desk:
    """Lets calls in, and books them. Synchronous but for money that has to be borrowed."""

    def __init__(
        self,
        *,
        limits: RateLimits,
        kills: Callable[[], Kills],
        clock: Callable[[], datetime],
        books: Books | None = None,
        prices: Prices | None = None,
    ) -> None:
        self._limits = limits
        self._kills = kills
        self._clock = clock
        self._books = books
        self._prices = prices

    @property
    def holds_money(self) -> bool:
        """Whether calls are booked, so that each needs a limit."""
        return self._books is not None

    def refuse_if_off(self, *, model: str = "", task: str = "") -> None:
        """Refuse what somebody has turned off.

        Raises:
            TurnedOff: the model, the task with its rules, or everything.

        """
        now = self._kills()
        if not now.kills:
            return
        kill = now.of_model(model) if model else now.of_task(task)
        if kill is None and model:
            kill = now.of_task("")  # everything
        if kill is not None:
            raise _off(kill)

    def task_off(self, task: str) -> Kill | None:
        """Return what stops the models of a task."""
        now = self._kills()
        return now.of_task(task) if now.kills else None

    async def enter(self, caller: Caller, order: Order) -> Ticket:
        """Let a call in, with its tokens and its money held.

        Raises:
            RateLimited: a limit in requests or tokens is reached.
            OverBudget: a budget has not so much left.
            Denied: the model has no price, and such models are refused.
            StorageFailed: the call could not be accounted for.

        """
        guessed = -(-order.prompt_bytes // BYTES_PER_TOKEN) + order.output_tokens * order.choices
        taken = self.take(caller, order.route, guessed)
        try:
            return await self._hold(caller, order, taken)
        except BaseException:
            self._limits.settle(taken, 0)
            raise

    def take(self, caller: Caller, route: str, tokens: int) -> Taken:
        """Take a request and its tokens from the limits of key, team and route.

        Raises:
            RateLimited: one of them is reached.

        """
        subjects = (f"key:{caller.key}", f"team:{caller.team}", f"route:{route}")
        taken = self._limits.take(subjects, tokens=tokens)
        if not taken.allowed:
            raise _limited(taken)
        return taken

    def settle(
        self, ticket: Ticket, counts: TokenCounts, nanos: int, flags: frozenset[str]
    ) -> None:
        """See `Ticket.settle`."""
        self._limits.settle(ticket.taken, counts.input_tokens + counts.output_tokens)
        reservation = ticket.reservation
        if reservation is None or self._books is None:
            return
        marks = set(flags)
        if counts.estimated:
            marks.add("estimated")
        if nanos > reservation.nanos:
            marks.add("over")
        event = replace(
            ticket.event,
            at=self._clock(),
            counts=counts,
            nanos=nanos,
            flags=ticket.event.flags | marks,
        )
        self._books.budgets.settle(reservation, event)

    def release(self, ticket: Ticket) -> None:
        """See `Ticket.release`."""
        self._limits.settle(ticket.taken, 0)
        if ticket.reservation is not None and self._books is not None:
            self._books.budgets.release(ticket.reservation)

    async def _hold(self, caller: Caller, order: Order, taken: Taken) -> Ticket:
        now = self._clock()
        price = _UNPRICED if self._prices is None else self._prices.price(order.model, now)
        worst = replace(
            ceiling(
                prompt_bytes=order.prompt_bytes,
                messages=order.messages,
                output_tokens=order.output_tokens,
                choices=order.choices,
            ),
            duration_us=int(order.seconds * _MICRO) if price.second else 0,
        )
        event = UsageEvent(
            id=order.call,
            at=now,
            key=caller.key,
            team=caller.team,
            task=order.task,
            route=order.route,
            model=order.model,
            release=order.release,
            counts=worst,
            nanos=cost(worst, price),
            flags=frozenset({"assumed-price"}) if price.assumed else frozenset(),
        )
        reservation: Reservation | None = None
        if self._books is not None:
            accounts = _accounts(caller, order)
            budgets = self._books.budgets
            reservation = budgets.reserve(accounts, event)
            if reservation is None:
                reservation = await budgets.acquire(accounts, event)
        return Ticket(self, taken, event, price, reservation, order.prompt_bytes)


def _accounts(caller: Caller, order: Order) -> Sequence[str]:
    found = [f"team:{caller.team}", f"key:{caller.key}"]
    return [*found, f"task:{order.task}"] if order.task else found


def _limited(taken: Taken) -> RateLimited:
    wait = taken.retry_after_s
    again = f"{wait:.1f} s from now" if isfinite(wait) else "never: it is larger than a limit"
    return RateLimited(
        f"a rate limit is reached; the same request may pass {again}",
        headers=tuple(taken.headers()),
    )


def _off(kill: Kill) -> TurnedOff:
    what = f"the {kill.scope} `{kill.name}` is" if kill.name else "everything is"
    return TurnedOff(
        f"{what} turned off since {kill.at}, by `{kill.actor}`: {kill.reason}",
        hint="an operator turns it on again with `lockgate kill off`",
    )


def limits_by_pattern(
    patterns: Mapping[str, Limits],
) -> Callable[[str], Limits | None]:
    """Return what finds the limits of a subject: its own row, else that of its kind's `*`."""

    def find(subject: str) -> Limits | None:
        kind = subject.partition(":")[0]
        return patterns.get(subject) or patterns.get(f"{kind}:*")

    return find
