"""Points in time as documents write them: RFC 3339, section 5.6."""

import re
from datetime import UTC, datetime
from typing import Final

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


def instant_of(text: str) -> datetime:
    """Read `2026-11-20T12:00:00Z`, in UTC.

    Raises:
        ValueError: it is not a point in time, or has no zone.

    """
    if _RFC3339.fullmatch(text) is None:
        raise ValueError(f"`{text[:40]}` is not a time like `2026-11-20T12:00:00Z`")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"`{text}` is not a time: {error}") from error


def instant_text(value: datetime) -> str:
    """Write a time with a zone as UTC, with `Z`."""
    if value.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return value.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
