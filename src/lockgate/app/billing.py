"""One call's money, from the ceiling that is reserved to the event in the ledger."""

from dataclasses import dataclass

from lockgate.books.budgets import Budgets, Reservation
from lockgate.books.prices import Prices
from lockgate.domain.budget import UsageEvent
from lockgate.domain.money import Price, TokenCounts, cost
from lockgate.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledCall:
    """What a call is charged to. Names are those of the request once it is authorised."""

    id: str
    """The call's id: also that of its usage event, of which there is one."""
    key: str
    team: str
    task: str = ""
    route: str = ""
    model: str
    release: str = ""


class Bill:
    """A reservation that is settled once, or cancelled."""

    __slots__ = ("_budgets", "_call", "_held", "_price")

    def __init__(self, budgets: Budgets, call: BilledCall, price: Price, held: Reservation) -> None:
        self._budgets = budgets
        self._call = call
        self._price = price
        self._held = held

    def settle(self, counts: TokenCounts, *, cancelled: bool = False) -> int:
        """Charge what the call did use, and return the nanos. In the spool when this returns."""
        event = _event(self._call, self._held.event, counts, self._price, cancelled=cancelled)
        self._budgets.settle(self._held, event)
        return event.nanos

    def cancel(self) -> None:
        """Charge nothing: the call was never made. Does nothing after `settle`."""
        self._budgets.release(self._held)


class Billing:
    """Opens bills."""

    def __init__(self, budgets: Budgets, prices: Prices, *, clock: Clock) -> None:
        self._budgets = budgets
        self._prices = prices
        self._clock = clock

    async def open(self, call: BilledCall, ceiling: TokenCounts) -> Bill:
        """Reserve the most that a call can cost. Waits only when there is too little at hand.

        Raises:
            Denied: the model has no price.
            OverBudget: the team's, the key's or the task's budget has not so much left.
            StorageFailed: the spool, or the shared budget, does not answer.
            Unavailable: the budgets are not known yet.

        """
        now = self._clock()
        price = self._prices.price(call.model, now)
        worst = UsageEvent(
            id=call.id,
            at=now,
            key=call.key,
            team=call.team,
            task=call.task,
            route=call.route,
            model=call.model,
            release=call.release,
            counts=ceiling,
            nanos=cost(ceiling, price),
            flags=_ASSUMED if price.assumed else _NONE,
        )
        accounts = [f"team:{call.team}", f"key:{call.key}"]
        if call.task:
            accounts.append(f"task:{call.task}")
        held = self._budgets.reserve(accounts, worst)
        if held is None:
            held = await self._budgets.acquire(accounts, worst)
        return Bill(self._budgets, call, price, held)


_NONE: frozenset[str] = frozenset()
_ASSUMED = frozenset({"assumed-price"})


def _event(
    call: BilledCall, worst: UsageEvent, counts: TokenCounts, price: Price, *, cancelled: bool
) -> UsageEvent:
    nanos = cost(counts, price)
    flags = {
        *worst.flags,
        *(("estimated",) if counts.estimated else ()),
        *(("over",) if nanos > worst.nanos else ()),
        *(("cancelled",) if cancelled else ()),
    }
    return UsageEvent(
        id=call.id,
        at=worst.at,  # the period that the reservation was held against
        key=call.key,
        team=call.team,
        task=call.task,
        route=call.route,
        model=call.model,
        release=call.release,
        counts=counts,
        nanos=nanos,
        flags=frozenset(flags),
    )
