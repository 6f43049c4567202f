"""Turns tasks and models off and on, and writes it down first."""

from datetime import UTC, datetime

from lockgate.app.calls import new_id
from lockgate.app.models import model_store
from lockgate.app.tasks import task_names
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.audit import Entry
from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import NotFound
from lockgate.ports import GatewayState
from lockgate.traffic.kill_switch import Kill, Kills, KillSwitch, Scope


def is_known(loaded: Loaded, environment: Environment, scope: Scope, name: str) -> bool:
    """Say whether this machine has a task or a model of that name; others may have it still."""
    match scope:
        case Scope.ALL:
            return True
        case Scope.TASK:
            return name in task_names(loaded)
        case Scope.MODEL:
            served = (getattr(b, "models", {}) for b in loaded.config.backends.values())
            here = {info.model.name for info in model_store(loaded, environment).list()}
            return name in here or any(name in models for models in served)


async def kills(state: GatewayState) -> Kills:
    """Return what is off now."""
    return await KillSwitch(state).refresh()


async def turn_off(state: GatewayState, kill: Kill) -> None:
    """Turn something off on every replica, within a second."""
    detail: JsonObject = {"leaves": kill.leaves, "reason": kill.reason}
    subject = _subject(kill.scope, kill.name)
    await _note(state, "kill.off", subject, detail, actor=kill.actor)
    await KillSwitch(state).turn_off(kill)


async def turn_on(state: GatewayState, scope: Scope, name: str, *, reason: str, actor: str) -> None:
    """Turn something on again.

    Raises:
        NotFound: it is not off.

    """
    found = await kills(state)
    if not any(kill.scope is scope and kill.name == name for kill in found.kills):
        raise NotFound(
            f"`{_subject(scope, name)}` is not off",
            hint="see `lockgate kill list`",
            request_hint="see `GET /admin/kills`",
        )
    await _note(state, "kill.on", _subject(scope, name), {"reason": reason}, actor=actor)
    await KillSwitch(state).turn_on(scope, name)


def document(kill: Kill) -> dict[str, Json]:
    """Return a kill as the command line and the admin API show it."""
    return {
        "scope": str(kill.scope),
        "name": kill.name,
        "leaves": str(kill.leaves),
        "actor": kill.actor,
        "at": kill.at,
        "reason": kill.reason,
    }


async def _note(
    state: GatewayState, action: str, subject: str, detail: JsonObject, *, actor: str
) -> None:
    # First: what cannot be recorded is not done.
    now = datetime.now(UTC)
    entry = Entry(id=new_id(), at=now, actor=actor, action=action, subject=subject, detail=detail)
    async with state.begin() as unit:
        await unit.append(entry)


def _subject(scope: Scope, name: str) -> str:
    return f"{scope} {name}".strip()
