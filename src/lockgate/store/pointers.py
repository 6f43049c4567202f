"""Aliases and promotions to rows and back."""

from collections.abc import Sequence
from datetime import UTC, datetime

from lockgate.domain.digest import Digest
from lockgate.domain.promotion import Action, Alias, Promotion
from lockgate.errors import Corrupt, UsageError
from lockgate.store.sql import Connection, Row


async def put_alias(db: Connection, alias: Alias) -> None:
    """Set or move an alias."""
    await db.run(
        "put_alias",
        task=alias.task,
        alias=alias.name,
        release=str(alias.release),
        at=_time(alias.at),
        actor=alias.actor,
    )


async def drop_alias(db: Connection, task: str, name: str) -> bool:
    """Delete an alias."""
    return bool(await db.run("drop_alias", task=task, alias=name))


async def aliases(db: Connection, task: str | None) -> Sequence[Alias]:
    """Read aliases. Raises Corrupt if a row is not one."""
    return [_alias(row) for row in await db.run("aliases", task=task)]


async def add_promotion(db: Connection, promotion: Promotion) -> None:
    """Append a promotion. The caller holds the lock that all writers take."""
    (last,) = await db.run("last_promotion")
    seq = last["seq"]
    assert isinstance(seq, int)
    await db.run(
        "add_promotion",
        seq=seq + 1,
        environment=promotion.environment,
        task=promotion.task,
        release=str(promotion.release),
        previous=None if promotion.previous is None else str(promotion.previous),
        action=str(promotion.action),
        at=_time(promotion.at),
        actor=promotion.actor,
        reason=promotion.reason,
        decision=str(promotion.decision),
    )


async def promotions(
    db: Connection, environment: str | None, task: str | None, limit: int
) -> Sequence[Promotion]:
    """Read promotions, newest first. Raises Corrupt if a row is not one."""
    rows = await db.run("promotions", environment=environment, task=task, most=limit)
    return [_promotion(row) for row in rows]


def _alias(row: Row) -> Alias:
    try:
        return Alias(
            task=_text(row, "task"),
            name=_text(row, "name"),
            release=Digest.parse(_text(row, "release")),
            at=datetime.fromisoformat(_text(row, "at")),
            actor=_text(row, "actor"),
        )
    except (UsageError, ValueError) as error:
        raise Corrupt(f"an alias in the database is malformed: {error}") from error


def _promotion(row: Row) -> Promotion:
    try:
        return Promotion(
            environment=_text(row, "environment"),
            task=_text(row, "task"),
            release=Digest.parse(_text(row, "release")),
            previous=None if row["previous"] is None else Digest.parse(_text(row, "previous")),
            action=Action(_text(row, "action")),
            at=datetime.fromisoformat(_text(row, "at")),
            actor=_text(row, "actor"),
            reason=_text(row, "reason"),
            decision=Digest.parse(_text(row, "decision")),
        )
    except (UsageError, ValueError) as error:
        raise Corrupt(f"a promotion in the database is malformed: {error}") from error


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def _text(row: Row, column: str) -> str:
    value = row[column]
    if not isinstance(value, str):
        raise Corrupt(f"the column `{column}` is not text")
    return value
