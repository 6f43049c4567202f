"""Prices from a dated file. A model without a price is refused or assumed dear: never free."""

import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from lockgate.domain.money import NANOS, Price, parse_money
from lockgate.errors import Denied, InvalidConfig

MAX_BYTES: Final = 1 << 20
# The most, so that no call's cost leaves 64 bits: per million tokens, and per second.
_MEMBERS: Final = {
    "input": 1_000_000,
    "cached_input": 1_000_000,
    "output": 1_000_000,
    "second": 1_000,
}
_HINT: Final = "each `[[price]]` has `model`, `valid_from`, and `input` and `output` or `second`"


class Unknown(StrEnum):
    """What to do with a model that has no price."""

    REFUSE = "refuse"
    ASSUME = "assume"
    """Charge the dearest price of each kind in the file, and flag the event."""


@dataclass(frozen=True, slots=True)
class _Series:
    """The prices of one model, oldest first."""

    days: tuple[date, ...]
    prices: tuple[Price, ...]


class Prices:
    """Finds the price of a model on a day."""

    def __init__(
        self,
        series: Mapping[str, _Series],
        *,
        currency: str,
        unknown: Unknown,
        local: Price | None = None,
    ) -> None:
        """`local` is the price of models inside this process that have none of their own."""
        self._series = series
        self._local = local
        self.currency = currency
        self._dearest = _dearest(series) if unknown is Unknown.ASSUME else None
        self._today: tuple[date, dict[str, Price]] = (date.min, {})

    @property
    def models(self) -> tuple[str, ...]:
        """The models that have prices."""
        return tuple(sorted(self._series))

    def price(self, model: str, at: datetime, *, local: bool = False) -> Price:
        """Return the newest price that is valid at that time (days are those of UTC).

        `local` says that the model runs inside this process.

        Raises:
            Denied: the file has none, and says that such models are refused.

        """
        day, known = self._today
        if day != at.date():
            known = {}
            self._today = (at.date(), known)
        found = known.get(model)
        if found is None:
            found = self._find(model, at.date(), local=local)
            # Names that callers invent must not fill the memory.
            if not found.assumed and found is not self._local:
                known[model] = found
        return found

    def _find(self, model: str, day: date, *, local: bool) -> Price:
        series = self._series.get(model)
        count = 0 if series is None else bisect_right(series.days, day)
        if series is not None and count:
            return series.prices[count - 1]
        if local and self._local is not None:
            return self._local
        if self._dearest is None:
            raise Denied(
                f"the model `{model[:80]}` has no price on {day}",
                hint="add it to the price file, or set "
                + ("`local_second` there" if local else '`unknown = "assume"` there'),
            )
        return self._dearest


def no_prices() -> Prices:
    """Return prices for a place without a price file: nothing costs, and each event says so."""
    return Prices({}, currency="EUR", unknown=Unknown.ASSUME)


def read_prices(document: bytes, name: str = "the price file") -> Prices:
    """Read a price file.

    Raises:
        InvalidConfig: it is not TOML, or has something that is not a price; all such are named.

    """
    if len(document) > MAX_BYTES:
        raise InvalidConfig(f"{name} has {len(document)} bytes, the most is {MAX_BYTES}")
    try:
        parsed = tomllib.loads(document.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidConfig(f"{name} is not TOML: {error}") from error
    problems: list[str] = [
        f"unknown key `{key}`"
        for key in parsed.keys() - {"currency", "unknown", "price", "local_second"}
    ]
    currency, unknown = parsed.get("currency", "EUR"), parsed.get("unknown", "refuse")
    if not isinstance(currency, str) or not currency.isalpha():
        problems.append("`currency` is not a code such as `EUR`")
    if unknown not in list(Unknown):
        problems.append("`unknown` is neither `refuse` nor `assume`")
    rows = parsed.get("price", [])
    found: dict[str, dict[date, Price]] = {}
    for number, row in enumerate(rows if isinstance(rows, list) else [None], 1):
        try:
            _add_row(row, found)
        except ValueError as error:
            problems.append(f"price {number}: {error}")
    local = _local(parsed, problems)
    if unknown == Unknown.ASSUME and not found:
        problems.append("`assume` needs at least one price to assume")
    if problems:
        raise InvalidConfig(f"{name}: {'; '.join(sorted(problems))}", hint=_HINT)
    series = {model: _series(by_day) for model, by_day in found.items()}
    return Prices(series, currency=currency, unknown=Unknown(unknown), local=local)


def _local(parsed: Mapping[str, Any], problems: list[str]) -> Price | None:
    """Return what models inside the process cost that have no row of their own."""
    if "local_second" not in parsed:
        return None
    try:
        return Price(second=_amount(parsed["local_second"], _MEMBERS["second"]))
    except ValueError as error:
        problems.append(f"`local_second`: {error}")
        return None


def _add_row(row: Any, found: dict[str, dict[date, Price]]) -> None:
    """Add a row. Raises ValueError with what is wrong with it."""
    if not isinstance(row, dict):
        raise ValueError("not a table")  # noqa: TRY004  said to a person
    if unknown := row.keys() - {"model", "valid_from", *_MEMBERS}:
        raise ValueError(f"unknown key `{min(unknown)}`")
    model, day = row.get("model"), row.get("valid_from")
    if not isinstance(model, str) or not model:
        raise ValueError("`model` is missing")
    if not isinstance(day, date) or isinstance(day, datetime):
        raise ValueError(f"`valid_from` of `{model}` is not a date")  # noqa: TRY004
    amounts = {name: _amount(row[name], most) for name, most in _MEMBERS.items() if name in row}
    if not ({"input", "output"} <= amounts.keys() or "second" in amounts):
        raise ValueError(f"`{model}` has neither `input` and `output` nor `second`")
    if day in found.setdefault(model, {}):
        raise ValueError(f"`{model}` has two prices from {day}")
    given = amounts.get("input", 0)
    found[model][day] = Price(
        input=given,
        cached_input=amounts.get("cached_input", given),
        output=amounts.get("output", 0),
        second=amounts.get("second", 0),
    )


def _amount(value: Any, most: int) -> int:
    # A float would already have lost what the text said.
    if not isinstance(value, str):
        raise ValueError(f'`{value}` is not a number in quotes, such as "0.15"')  # noqa: TRY004
    amount = parse_money(value)
    if amount > most * NANOS:
        raise ValueError(f"`{value}` is more than {most}")
    return amount


def _series(by_day: Mapping[date, Price]) -> _Series:
    days = tuple(sorted(by_day))
    return _Series(days, tuple(by_day[day] for day in days))


def _dearest(series: Mapping[str, _Series]) -> Price:
    every = [price for one in series.values() for price in one.prices]
    most = max((max(price.input, price.cached_input) for price in every), default=0)
    return Price(
        input=most,
        cached_input=most,
        output=max((price.output for price in every), default=0),
        second=max((price.second for price in every), default=0),
        assumed=True,
    )
