from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.decimals import decimal_of, decimal_text, minus, plus
from lockgate.domain.instants import instant_of, instant_text

NUMBERS = st.decimals(min_value=-(10**12) + 1, max_value=10**12 - 1, allow_nan=False, places=12)


@given(NUMBERS)
def test_a_number_that_is_written_is_read(number: Decimal) -> None:
    assert decimal_of(decimal_text(number)) == number


@pytest.mark.parametrize(
    ("text", "written"), [("0.90", "0.9"), ("-0", "0"), ("10", "10"), ("1.000", "1"), ("0.0", "0")]
)
def test_a_number_is_written_without_needless_zeros(text: str, written: str) -> None:
    assert decimal_text(decimal_of(text)) == written


@pytest.mark.parametrize(
    "text", ["", "1e3", "NaN", "Infinity", ".5", "5.", "1_0", "\u0661", "1" * 13]
)
def test_other_ways_to_write_numbers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a decimal number"):
        decimal_of(text)


@given(NUMBERS, NUMBERS)
def test_sums_are_exact(left: Decimal, right: Decimal) -> None:
    assert minus(plus(left, right), right) == left


@given(st.datetimes(min_value=datetime(1000, 1, 1)))  # noqa: DTZ001
def test_a_time_that_is_written_is_read(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    assert instant_of(instant_text(aware)) == aware


def test_a_time_is_written_in_utc() -> None:
    assert instant_text(instant_of("2026-11-18T12:00:00+01:00")) == "2026-11-18T11:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-18",
        "2026-11-18T12:00:00",
        "2026-11-18 12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-11-18T12:00:00+99:00",
        "0001-01-01T00:00:00+01:00",
    ],
)
def test_what_is_no_time_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        instant_of(text)


def test_a_time_without_a_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        instant_text(datetime(2026, 1, 1))  # noqa: DTZ001
