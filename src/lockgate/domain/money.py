"""Prices and what usage costs. Integers only: billionths (nanos) of the configured currency.

Prices are kept per million tokens, as they are quoted, so that 0.15 per million is exactly
150,000,000 nanos and not a rounded 150 per token.
"""

from dataclasses import dataclass
from typing import Final

NANOS: Final = 1_000_000_000
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """What an upstream reported, or what was measured, for one call. Add with `+`."""

    input_tokens: int = 0
    """All of the prompt, cached tokens included."""
    cached_tokens: int = 0
    """The part of `input_tokens` that the upstream had in its cache."""
    output_tokens: int = 0
    duration_us: int = 0
    """Microseconds of compute, for models that are priced by time."""
    estimated: bool = False
    """Whether the upstream reported nothing and the tokens were estimated from the text."""

    def __post_init__(self) -> None:
        if (
            not 0 <= self.cached_tokens <= self.input_tokens
            or self.output_tokens < 0
            or self.duration_us < 0
        ):
            raise ValueError(f"impossible counts: {self}")

    def __add__(self, other: "TokenCounts") -> "TokenCounts":
        return TokenCounts(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            duration_us=self.duration_us + other.duration_us,
            estimated=self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Nanos per million tokens, and per second. What a model is not priced by is 0."""

    input: int = 0
    cached_input: int = 0
    output: int = 0
    second: int = 0
    """Nanos for one second of a local model's compute."""
    assumed: bool = False
    """Whether the price file does not know the model, and its dearest prices were taken."""


def cost(counts: TokenCounts, price: Price) -> int:
    """Return nanos: summed exactly, then rounded up once.

    Rounding up means that no priced usage is ever free, and that the cost of a sum is never more
    than the sum of the costs, so splitting a call cannot make it cheaper.
    """
    fresh = counts.input_tokens - counts.cached_tokens
    exact = (
        fresh * price.input
        + counts.cached_tokens * price.cached_input
        + counts.output_tokens * price.output
        + counts.duration_us * price.second
    )
    return -(-exact // _MILLION)


def money(nanos: int) -> str:
    """Write nanos as a decimal number of the currency, without trailing zeros."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), NANOS)
    return f"{sign}{whole}.{rest:09d}".rstrip("0").rstrip(".")


def parse_money(text: str) -> int:
    """Read a decimal number of the currency as nanos, exactly. `parse_money(money(n)) == n`.

    Raises:
        ValueError: it is no plain decimal number, or finer than a nano.

    """
    whole, dot, fraction = text.partition(".")
    digits = whole + fraction
    if not digits.isascii() or not digits.isdigit() or not whole or (dot and not fraction):
        raise ValueError(f"`{text[:40]}` is not a decimal number")
    if len(fraction) > 9 or len(whole) > 9:  # noqa: PLR2004  a nano has nine places
        raise ValueError(f"`{text[:40]}` is not between 0.000000001 and 999999999")
    return int(whole) * NANOS + int(fraction.ljust(9, "0"))
