"""Names of releases, moved in one transaction with the audit event that says so."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from lockgate.app.calls import new_id, os_user
from lockgate.domain.audit import Entry
from lockgate.domain.digest import Digest, Json
from lockgate.domain.promotion import Alias, Promotion, checked_name
from lockgate.domain.release import Release
from lockgate.errors import NotFound
from lockgate.ports import State, StateUnit

_MOST = 10_000


async def built(state: State, digest: Digest, release: Release, now: datetime) -> None:
    """Note in the audit log that a release was built here."""
    async with state.begin() as unit:
        await _audit(
            unit, "release.build", release.task, now, {"release": str(digest), "code": release.code}
        )


async def move_alias(state: State, task: str, name: str, release: Digest, now: datetime) -> None:
    """Let an alias stand for a release.

    Raises:
        UsageError: the name is not usable.

    """
    checked_name(name, "an alias")
    async with state.begin() as unit:
        await _audit(unit, "release.tag", task, now, {"alias": name, "release": str(release)})
        await unit.put_alias(
            Alias(task=task, name=name, release=release, at=now, actor=os_user().name)
        )


async def drop_alias(state: State, task: str, name: str, now: datetime) -> None:
    """Take an alias away.

    Raises:
        NotFound: there is none of that name.

    """
    async with state.begin() as unit:
        await _audit(unit, "release.untag", task, now, {"alias": name})
        if not await unit.drop_alias(task, name):
            raise NotFound(
                f"the task `{task}` has no alias `{name[:80]}`", hint="see `lockgate release list`"
            )


async def running(state: State) -> Sequence[Promotion]:
    """Return the newest promotion of each environment and task."""
    async with state.begin() as unit:
        newest: dict[tuple[str, str], Promotion] = {}
        for promotion in await unit.promotions(limit=_MOST):
            newest.setdefault((promotion.environment, promotion.task), promotion)
    return list(newest.values())


async def audited(
    store: Callable[[], AbstractAsyncContextManager[State]],
    action: str,
    subject: str,
    detail: dict[str, Json],
    now: datetime,
) -> None:
    """Append one administrative event, in a transaction of its own."""
    async with store() as state, state.begin() as unit:
        await _audit(unit, action, subject, now, detail)


async def _audit(
    unit: StateUnit, action: str, subject: str, now: datetime, detail: dict[str, Json]
) -> None:
    await unit.append(
        Entry(
            id=new_id(),
            at=now,
            actor=os_user().name,
            action=action,
            subject=subject,
            detail=detail,
        )
    )
