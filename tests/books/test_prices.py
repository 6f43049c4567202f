from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.books.prices import read_prices
from lockgate.domain.money import Price, TokenCounts, cost, money, parse_money
from lockgate.errors import Denied, InvalidConfig

FILE = """
currency = "EUR"

[[price]]
model = "hosted"
valid_from = 2026-06-01
input = "2.50"
cached_input = "0.15"
output = "10"

[[price]]
model = "hosted"
valid_from = 2026-01-01
input = "5"
output = "20"

[[price]]
model = "smollm2"
valid_from = 2026-01-01
second = "0.0001"
"""
ASSUMING = FILE.replace("currency", 'unknown = "assume"\ncurrency')


def at(month: int, day: int = 1) -> datetime:
    return datetime(2026, month, day, 23, 59, tzinfo=UTC)


def test_the_newest_price_that_is_valid_already_counts() -> None:
    prices = read_prices(FILE.encode())

    old = Price(input=5_000_000_000, cached_input=5_000_000_000, output=20_000_000_000)
    new = Price(input=2_500_000_000, cached_input=150_000_000, output=10_000_000_000)
    assert prices.price("hosted", at(5, 31)) == old
    assert prices.price("hosted", at(6)) == new
    assert prices.price("hosted", at(5, 31)) == old
    assert prices.price("smollm2", at(6)) == Price(second=100_000)


def test_a_model_without_a_price_is_refused() -> None:
    prices = read_prices(FILE.encode())

    for model, time in (
        ("hosted2", at(6)),
        ("", at(6)),
        ("hosted", datetime(2025, 1, 1, tzinfo=UTC)),
    ):
        with pytest.raises(Denied, match="has no price"):
            prices.price(model, time)


def test_or_is_charged_the_dearest_and_flagged_but_never_free() -> None:
    prices = read_prices(ASSUMING.encode())

    assumed = prices.price("invented", at(6))
    assert assumed == Price(
        input=5_000_000_000,
        cached_input=5_000_000_000,
        output=20_000_000_000,
        second=100_000,
        assumed=True,
    )
    assert cost(TokenCounts(output_tokens=1), assumed) == 20_000


def test_cost_is_rounded_up_once() -> None:
    price = Price(input=150_000_000, cached_input=75_000_000, output=600_000_000, second=100_000)

    counts = TokenCounts(input_tokens=1000, cached_tokens=400, output_tokens=10)
    assert cost(counts, price) == 600 * 150 + 400 * 75 + 10 * 600
    assert cost(TokenCounts(duration_us=1), price) == 1
    assert cost(TokenCounts(duration_us=2_500_000), price) == 250_000
    assert cost(TokenCounts(), price) == 0


counts = st.builds(
    lambda given, part, output, time: TokenCounts(
        input_tokens=given, cached_tokens=given * part // 7, output_tokens=output, duration_us=time
    ),
    st.integers(0, 10**7),
    st.integers(0, 7),
    st.integers(0, 10**7),
    st.integers(0, 10**10),
)
amounts = st.integers(0, 10**12)


@given(counts, counts, amounts, amounts, amounts)
def test_splitting_a_call_never_makes_it_cheaper(
    one: TokenCounts, other: TokenCounts, given: int, output: int, second: int
) -> None:
    price = Price(input=given, cached_input=given // 2, output=output, second=second)

    assert cost(one + other, price) <= cost(one, price) + cost(other, price)
    assert cost(one + other, price) >= max(cost(one, price), cost(other, price))


@given(st.integers(0, 10**18 - 1))
def test_money_is_read_as_it_is_written(nanos: int) -> None:
    assert parse_money(money(nanos)) == nanos


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".5", "-1", "1e3", "1,5", "0.0000000001", "9999999999", "\u0661", "1 ", "0x1"],
)
def test_what_is_no_plain_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_money(text)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('currency = "EUR"', "currency = 7", "`currency` is not a code"),
        ("currency", "colour", "unknown key `colour`"),
        ('"2.50"', "2.50", "not a number in quotes"),
        ('"2.50"', '"-2.50"', "not a decimal number"),
        ('"2.50"', '"free"', "not a decimal number"),
        ('"2.50"', '"1000001"', "more than 1000000"),
        ('"0.0001"', '"1001"', "more than 1000"),
        ("2026-06-01", "2026-01-01", "two prices from 2026-01-01"),
        ("2026-06-01", '"soon"', "not a date"),
        ("2026-06-01", "2026-06-01T00:00:00Z", "not a date"),
        ('model = "smollm2"', "", "`model` is missing"),
        ('second = "0.0001"', "", "neither `input` and `output` nor `second`"),
        ("second =", "seconds =", "unknown key `seconds`"),
        ('currency = "EUR"', 'unknown = "free"', "neither `refuse` nor `assume`"),
        ('currency = "EUR"', "local_second = 1", "`local_second`: `1` is not a number in quotes"),
        ('currency = "EUR"', 'local_second = "1001"', "`local_second`: `1001` is more than 1000"),
        ("[[price]]", "[[price", "is not TOML"),
    ],
)
def test_a_wrong_price_file_is_refused_with_what_is_wrong(old: str, new: str, problem: str) -> None:
    assert old in FILE
    with pytest.raises(InvalidConfig, match=problem.replace("[", r"\[")):
        read_prices(FILE.replace(old, new, 1).encode())


def test_all_problems_of_a_file_are_named_at_once() -> None:
    with pytest.raises(InvalidConfig) as refused:
        read_prices(FILE.replace('"2.50"', '"x"').replace('"0.0001"', '"y"').encode())
    assert "price 1" in str(refused.value)
    assert "price 3" in str(refused.value)
    with pytest.raises(InvalidConfig, match="at least one price"):
        read_prices(b'unknown = "assume"')


def test_a_model_in_this_process_without_a_row_costs_what_a_local_second_does() -> None:
    prices = read_prices(b'local_second = "0.002"\n' + FILE.encode())
    assert prices.price("unknown", at(11), local=True) == Price(second=2_000_000)
    assert prices.price("smollm2", at(11), local=True) != Price(second=2_000_000)
    with pytest.raises(Denied, match="`unknown` has no price"):
        prices.price("unknown", at(11))
    with pytest.raises(Denied) as refused:
        read_prices(FILE.encode()).price("unknown", at(11), local=True)
    assert "local_second" in (refused.value.hint or "")
