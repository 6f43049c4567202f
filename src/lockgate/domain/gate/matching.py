"""Patterns of a policy, which are a name or a beginning and `*`, and values in messages."""

from collections.abc import Iterable
from datetime import timedelta


def matches(value: str, patterns: Iterable[str]) -> bool:
    """Say whether a value is one of the names, or starts as one of the patterns."""
    return any(
        value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
        for pattern in patterns
    )


def listed(values: Iterable[str]) -> str:
    """Return names for a message."""
    return ", ".join(f"`{value}`" for value in values) or "none"


def span(time: timedelta) -> str:
    """Return a length of time for a message: `3 days 4 h`."""
    minutes = int(time.total_seconds()) // 60
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = ((days, "days" if days != 1 else "day"), (hours, "h"), (rest, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 min"
