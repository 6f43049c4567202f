"""One call's money, from the ceiling that is reserved to the event in the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from lockgate.books.budgets import Budgets, Reservation
from lockgate.books.prices import Prices
from lockgate.domain.budget import UsageEvent
from lockgate.domain.money import Price, TokenCounts, cost
from lockgate.errors import Denied
from lockgate.ports import Clock


class BilledCall(NamedTuple):
    """What a call is charged to. Names are those of the request once it is authorised."""

    id: str
    """That of its usage event, of which there is one."""
    key: str
    team: str
    model: str
    task: str = ""
    route: str = ""
    release: str = ""
    local: bool = False
    """Whether the model runs inside this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that may answer in place of the one that was asked for."""

    model: str
    local: bool = False


class Bill:
    """A reservation that is settled once, or cancelled. Safe on any thread."""

    __slots__ = ("_budgets", "_call", "_held", "_prices")

    def __init__(
        self, budgets: Budgets, call: BilledCall, prices: Mapping[str, Price], held: Reservation
    ) -> None:
        self._budgets = budgets
        self._call = call
        self._prices = prices
        self._held = held

    def settle(
        self,
        counts: TokenCounts,
        *,
        model: str | None = None,
        release: str | None = None,
        cancelled: bool = False,
    ) -> int:
        """Charge what the call did use, and return the nanos. In the spool when this returns.

        `model` and `release` are those that answered, where they are not those asked for.
        """
        call = self._call
        name = call.model if model is None else model
        price = self._prices[name]
        nanos = cost(counts, price)
        worst = self._held.event  # of the period that the reservation was held against
        event = worst._replace(
            model=name,
            release=call.release if release is None else release,
            counts=counts,
            nanos=nanos,
            flags=_flags(price, counts, over=nanos > worst.nanos, cancelled=cancelled),
        )
        self._budgets.settle(self._held, event)
        return nanos

    def cancel(self) -> None:
        """Charge nothing: the call was never made. Does nothing after `settle`."""
        self._budgets.release(self._held)


class Billing:
    """Opens bills."""

    def __init__(self, budgets: Budgets, prices: Prices, *, clock: Clock) -> None:
        self._budgets = budgets
        self._prices = prices
        self._clock = clock

    def take(self, prices: Prices) -> None:
        """Use other prices for the bills that are opened from now on. Safe on any thread."""
        self._prices = prices

    def has_price(self, model: str, *, local: bool = False) -> bool:
        """Say whether calls of a model can be billed: others are refused."""
        try:
            self._prices.price(model, self._clock(), local=local)
        except Denied:
            return False
        return True

    async def open(
        self, call: BilledCall, ceiling: TokenCounts, others: Sequence[Candidate] = ()
    ) -> Bill:
        """Reserve the most that a call can cost. Waits only when there is too little at hand.

        `others` are models that may answer in its place: the dearest of all is reserved.

        Raises:
            Denied: a model has no price.
            OverBudget: the team's, the key's or the task's budget has not so much left.
            StorageFailed: the spool, or the shared budget, does not answer.
            Unavailable: the budgets are not known yet.

        """
        now = self._clock()
        prices = self._find(call, others, now)
        worst = _worst(call, ceiling, prices, now)
        accounts = _accounts(call)
        held = self._budgets.reserve(accounts, worst)
        if held is None:
            held = await self._budgets.acquire(accounts, worst)
        return Bill(self._budgets, call, prices, held)

    def open_now(self, call: BilledCall, ceiling: TokenCounts) -> Bill | None:
        """As `open`, on any thread; None if it would have to wait: `open` does, on its own loop."""
        now = self._clock()
        prices = self._find(call, (), now)
        held = self._budgets.reserve(_accounts(call), _worst(call, ceiling, prices, now))
        return None if held is None else Bill(self._budgets, call, prices, held)

    def _find(
        self, call: BilledCall, others: Sequence[Candidate], now: datetime
    ) -> Mapping[str, Price]:
        found = {call.model: self._prices.price(call.model, now, local=call.local)}
        for other in others:
            found[other.model] = self._prices.price(other.model, now, local=other.local)
        return found


_NONE: frozenset[str] = frozenset()
_ASSUMED = frozenset({"assumed-price"})


def _accounts(call: BilledCall) -> list[str]:
    accounts = [f"team:{call.team}", f"key:{call.key}"]
    if call.task:
        accounts.append(f"task:{call.task}")
    return accounts


def _worst(
    call: BilledCall, ceiling: TokenCounts, prices: Mapping[str, Price], now: datetime
) -> UsageEvent:
    """Return the call at its dearest: what the ledger gets if this process dies meanwhile."""
    nanos, model = max((_dearest(ceiling, price), name) for name, price in prices.items())
    return UsageEvent(
        id=call.id,
        at=now,
        key=call.key,
        team=call.team,
        task=call.task,
        route=call.route,
        model=model,
        release=call.release,
        counts=ceiling,
        nanos=nanos,
        flags=_ASSUMED if prices[model].assumed else _NONE,
    )


def _dearest(ceiling: TokenCounts, price: Price) -> int:
    """Return what a call can cost at most: the upstream says how much of a prompt it had kept."""
    if price.cached_input > price.input:
        ceiling = replace(ceiling, cached_tokens=ceiling.input_tokens)
    return cost(ceiling, price)


def _flags(price: Price, counts: TokenCounts, *, over: bool, cancelled: bool) -> frozenset[str]:
    if not (price.assumed or counts.estimated or over or cancelled):
        return _NONE
    names = {
        "assumed-price": price.assumed,
        "estimated": counts.estimated,
        "over": over,
        "cancelled": cancelled,
    }
    return frozenset(name for name, so in names.items() if so)
