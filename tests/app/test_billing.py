import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import Opener
from ledgers import ledger, ready_books, set_budgets
from lockgate.app.billing import BilledCall, Billing
from lockgate.app.books import Books
from lockgate.books.prices import no_prices, read_prices
from lockgate.domain.budget import Budget, Period, UsageEvent
from lockgate.domain.digest import JsonObject
from lockgate.domain.money import TokenCounts
from lockgate.errors import Denied, OverBudget
from price_files import price_file

NOW = datetime.now(UTC)
PRICES = read_prices(price_file(hosted=("1", "2"), smollm2="0.001").encode())


def call(name: str, model: str = "hosted") -> BilledCall:
    return BilledCall(id=name, key="ci", team="shop", task="review", model=model)


def book(
    opener: Opener, folder: Path, work: Callable[[Books], None], limit: int
) -> list[UsageEvent]:
    """Do `work` on books with a budget, and return the ledger."""
    budget = Budget(account="task:review", period=Period.DAY, nanos=limit)
    asyncio.run(set_budgets(opener, budget))
    with ready_books(opener, folder, clock=lambda: NOW) as books:
        work(books)
    return asyncio.run(ledger(opener))


def test_a_call_is_billed_what_it_used_and_flags_say_how_that_is_known(
    opener: Opener, tmp_path: Path
) -> None:
    ceiling = TokenCounts(input_tokens=100, output_tokens=50)
    used = TokenCounts(input_tokens=20, output_tokens=10)

    def work(books: Books) -> None:
        billing = Billing(books.budgets, PRICES, clock=lambda: NOW)

        async def calls() -> None:
            bill = await billing.open(call("a"), ceiling)
            assert bill.settle(used) == 20 * 1000 + 10 * 2000
            bill.cancel()
            bill = await billing.open(call("b"), ceiling)
            guessed = TokenCounts(input_tokens=1, estimated=True)
            assert bill.settle(guessed, cancelled=True) == 1000
            (await billing.open(call("c"), ceiling)).cancel()
            bill = await billing.open(call("d"), used)
            assert bill.settle(ceiling) == 200_000
            bill = await billing.open(call("e", "smollm2"), TokenCounts(duration_us=10**6))
            assert bill.settle(TokenCounts(input_tokens=9, duration_us=500_000)) == 500_000

        asyncio.run(calls())

    events = book(opener, tmp_path, work, 10**9)
    assert [(e.id, e.nanos, sorted(e.flags)) for e in events] == [
        ("a", 40_000, []),
        ("b", 1000, ["cancelled", "estimated"]),
        ("d", 200_000, ["over"]),
        ("e", 500_000, []),
    ]


def test_a_model_without_a_price_is_refused_and_a_budget_that_is_used_up_too(
    opener: Opener, tmp_path: Path
) -> None:
    def work(books: Books) -> None:
        billing = Billing(books.budgets, PRICES, clock=lambda: NOW)
        with pytest.raises(Denied, match="`invented` has no price"):
            asyncio.run(billing.open(call("a", "invented"), TokenCounts(input_tokens=1)))
        with pytest.raises(OverBudget, match="task:review"):
            asyncio.run(billing.open(call("b"), TokenCounts(input_tokens=11)))
        asyncio.run(billing.open(call("c"), TokenCounts(input_tokens=10))).cancel()

    assert book(opener, tmp_path, work, 10_000) == []


def test_without_a_price_file_events_say_that_their_price_is_assumed(
    opener: Opener, tmp_path: Path
) -> None:
    def work(books: Books) -> None:
        billing = Billing(books.budgets, no_prices(), clock=lambda: NOW)
        counts = TokenCounts(input_tokens=5)
        assert asyncio.run(billing.open(call("a"), counts)).settle(counts) == 0

    (event,) = book(opener, tmp_path, work, 10_000)
    assert event.flags == {"assumed-price"}


def test_an_audit_note_gets_into_the_chain(opener: Opener, tmp_path: Path) -> None:
    detail: JsonObject = {"status": 200}

    def work(books: Books) -> None:
        books.refuse_if_full()
        books.note("c1", "shop/ci", "hosted", detail)

    book(opener, tmp_path, work, 1)

    async def read() -> None:
        async with opener() as store, store.begin() as unit:
            (event,) = await unit.events()
        entry = event.entry
        assert (entry.id, entry.actor, entry.action, entry.subject) == (
            "c1",
            "shop/ci",
            "call",
            "hosted",
        )
        assert entry.detail == detail

    asyncio.run(read())
