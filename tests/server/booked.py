"""A gateway with prices, and the ledger that it leaves."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import Opener
from ledgers import ledger, now, ready_books, set_budgets
from lockgate.app.billing import Billing
from lockgate.app.gateway_controls import Controls
from lockgate.books.prices import read_prices
from lockgate.config.gateway_settings import ServerSettings
from lockgate.domain.budget import Budget, UsageEvent
from lockgate.store.sqlite import open_sqlite
from price_files import price_file
from server.serving import Models, Served, none, serving

PRICES = price_file(m=("1000", "1000"), spare=("3000", "3000"), here="0.5")


class Books:
    """A gateway with prices, and what its ledger has at the end."""

    def __init__(
        self,
        folder: Path,
        models: Models = none,
        *,
        controls: Controls | None = None,
        **settings: Any,
    ) -> None:
        self._opener: Opener = lambda: open_sqlite(folder / "books.db")
        self._folder = folder
        self._models = models
        self._settings = ServerSettings(**settings)
        self._controls = controls or Controls()
        self.events: list[UsageEvent] = []

    @contextmanager
    def serving(self, *budgets: Budget, prices: str = PRICES) -> Generator[Served]:
        asyncio.run(set_budgets(self._opener, *budgets))
        with ready_books(self._opener, self._folder / "spool") as books:
            billing = Billing(books.budgets, read_prices(prices.encode()), clock=now)
            controls = replace(self._controls, billing=billing)
            with serving(self._models, settings=self._settings, controls=controls) as served:
                yield served
        self.events = asyncio.run(ledger(self._opener))


def chat(served: Served, model: str = "m", **more: Any) -> tuple[Any, Any]:
    messages = [{"role": "user", "content": "hi"}]
    return served.ask(
        "POST", "/v1/chat/completions", {"model": model, "messages": messages, **more}
    )
