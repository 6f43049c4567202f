"""Decimal numbers as documents write them: text, so that no reader rounds them."""

import re
from decimal import Context, Decimal
from typing import Final

_DECIMAL: Final = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?")
_EXACT: Final = Context(prec=40)
"""Not the thread's context, which others may set; sums of such numbers are exact within it."""


def decimal_of(text: str) -> Decimal:
    """Read `0.95`: at most 12 digits on each side of the point, no exponent.

    Raises:
        ValueError: it is written in another way.

    """
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(
            f"`{text[:40]}` is not a decimal number of at most 12 digits on each side of the point"
        )
    return Decimal(text)


def decimal_text(value: Decimal) -> str:
    """Write a number without exponent and without needless zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def plus(left: Decimal, right: Decimal) -> Decimal:
    """Add without rounding."""
    return _EXACT.add(left, right)


def minus(left: Decimal, right: Decimal) -> Decimal:
    """Subtract without rounding."""
    return _EXACT.subtract(left, right)
