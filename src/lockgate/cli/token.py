"""`lockgate token`: the API keys of the gateway."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.domain.digest import Json
from lockgate.domain.identity import GatewayKey, Role
from lockgate.ports import GatewayState

T = TypeVar("T")
EXPIRES_DAYS = 90


@click.group()
def token() -> None:
    """Make, rotate and revoke the keys that callers of the gateway send."""


@token.command(
    "new",
    epilog=examples(
        "lockgate token new ci --team shop --scope task:review",
        "lockgate token new ana --team ops --role operator --scope 'task:*' --scope 'model:*'",
    ),
)
@click.argument("name")
@click.option("--team", required=True, help="Whose budgets it spends.")
@click.option("--scope", "scopes", multiple=True, help="`task:NAME`, `model:NAME`, `route:NAME`.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([str(role) for role in Role]),
    default=["caller"],
    show_default=True,
)
@click.option(
    "--expires-days",
    type=click.IntRange(0, 3650),
    default=EXPIRES_DAYS,
    show_default=True,
    help="0: never.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def new_token(session: Session, /, name: str, **given: Any) -> None:
    """Make the key NAME and print its secret, once."""
    from lockgate.app.calls import os_user
    from lockgate.app.identity import Wanted, make_key

    now, days = datetime.now(UTC), given["expires_days"]
    wanted = Wanted(
        id=name,
        team=given["team"],
        roles=frozenset(Role(role) for role in given["roles"]),
        scopes=frozenset(given["scopes"]),
        expires_at=now + timedelta(days=days) if days else None,
    )
    actor = os_user().name
    secret = _do(session, lambda state: make_key(state, wanted, actor=actor, now=now))
    _show(name, secret, as_json=given["as_json"])
    if not wanted.scopes:
        words("warning: without a `--scope` it reaches nothing")


@token.command("list", epilog=examples("lockgate token list", "lockgate token list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_tokens(session: Session, *, as_json: bool) -> None:
    """List the keys, without their secrets."""
    from lockgate.app.identity import list_keys

    found = _do(session, list_keys)
    if as_json:
        data_json([_document(key) for key in found])
        return
    now = datetime.now(UTC)
    rows = [
        (
            key.id,
            key.team,
            _state(key, now),
            ", ".join(sorted(key.roles)),
            " ".join(sorted(key.scopes)),
        )
        for key in found
    ]
    table(("KEY", "TEAM", "STATE", "ROLES", "SCOPES"), rows)


@token.command("rotate", epilog=examples("lockgate token rotate ci --overlap-hours 24"))
@click.argument("name")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(0, 24 * 90),
    default=24,
    show_default=True,
    help="How long the old secret goes on to work.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def rotate_token(session: Session, name: str, overlap_hours: float, *, as_json: bool) -> None:
    """Give the key NAME a new secret; the old one works on for a while."""
    from lockgate.app.calls import os_user
    from lockgate.app.identity import rotate_key

    overlap, actor, now = timedelta(hours=overlap_hours), os_user().name, datetime.now(UTC)
    secret = _do(
        session, lambda state: rotate_key(state, name, actor=actor, now=now, overlap=overlap)
    )
    _show(name, secret, as_json=as_json)
    words(f"the old secret ends at {(now + overlap).strftime('%Y-%m-%d %H:%M:%SZ')}")


@token.command("revoke", epilog=examples("lockgate token revoke ci"))
@click.argument("name")
@click.pass_obj
def revoke_token(session: Session, name: str) -> None:
    """End the key NAME on every replica, within a second."""
    from lockgate.app.calls import os_user
    from lockgate.app.identity import revoke_key

    actor, now = os_user().name, datetime.now(UTC)
    _do(session, lambda state: revoke_key(state, name, actor=actor, now=now))
    words(f"`{name}` is revoked")


def _do(session: Session, work: Callable[[GatewayState], Coroutine[Any, Any, T]]) -> T:
    async def act() -> T:
        async with session.store() as state:
            return await work(state)

    return session.run(act)


def _show(name: str, secret: str, *, as_json: bool) -> None:
    if as_json:
        data_json({"key": name, "secret": secret})
        return
    data(secret)
    words("keep it now: it cannot be shown again")


def _state(key: GatewayKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    day = key.expires_at.strftime("%Y-%m-%d")
    return f"expired {day}" if key.expires_at <= now else f"until {day}"


def _document(key: GatewayKey) -> dict[str, Json]:
    return {
        "key": key.id,
        "team": key.team,
        "roles": sorted(key.roles),
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat(),
        "created_by": key.created_by,
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        "revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat(),
    }
