"""Reads typed columns: a row of another shape is damage, and is said to be."""

import json
from datetime import UTC, datetime

from lockgate.errors import Corrupt
from lockgate.store.sql import Row


def text(row: Row, column: str) -> str:
    """Return a text column. Raises Corrupt if it is something else."""
    value = row[column]
    if not isinstance(value, str):
        raise Corrupt(f"the column `{column}` is not text")
    return value


def number(row: Row, column: str) -> int:
    """Return an integer column. Raises Corrupt if it is something else."""
    value = row[column]
    if not isinstance(value, int):
        raise Corrupt(f"the column `{column}` is not an integer")
    return value


def instant(row: Row, column: str) -> datetime:
    """Return a time column. Raises Corrupt if it is none."""
    found = maybe_instant(row, column)
    if found is None:
        raise Corrupt(f"the column `{column}` is empty")
    return found


def maybe_instant(row: Row, column: str) -> datetime | None:
    """Return a time column that may be empty. Raises Corrupt if it is something else."""
    if row[column] is None:
        return None
    try:
        return datetime.fromisoformat(text(row, column))
    except ValueError as error:
        raise Corrupt(f"the column `{column}` is not a time: {error}") from error


def names(row: Row, column: str) -> frozenset[str]:
    """Return a column of names. Raises Corrupt if it is something else."""
    try:
        found = json.loads(text(row, column))
    except ValueError as error:
        raise Corrupt(f"the column `{column}` is not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise Corrupt(f"the column `{column}` is not a list of names")
    return frozenset(found)


def as_names(found: frozenset[str]) -> str:
    """Write names so that equal sets are equal text."""
    return json.dumps(sorted(found)) if found else "[]"


def as_time(value: datetime) -> str:
    """Write a time so that text sorts as time does."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def storable(found: str) -> str:
    """Return text without what PostgreSQL cannot store: NUL and lone surrogates."""
    if not found.isascii():
        found = found.encode("utf-8", "replace").decode("utf-8")
    return found.replace("\0", "\ufffd")
