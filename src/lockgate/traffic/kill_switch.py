"""Turns a task, a model or everything off, on every replica within a second."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from lockgate.errors import Corrupt, NotFound
from lockgate.ports import SharedState

STATE = "kill-switch.1"
EVERY_S = 0.5
"""Seconds between two calls of `refresh`: half of the second that is promised."""


class Scope(StrEnum):
    """What is turned off."""

    ALL = "all"
    TASK = "task"
    MODEL = "model"


class Leaves(StrEnum):
    """What still answers: the deterministic rules of a task, or nothing."""

    RULES = "rules"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One thing that is turned off."""

    scope: Scope
    name: str = ""
    """Of the task or the model; empty for all."""
    leaves: Leaves = Leaves.RULES
    """Not looked at for a model: there the rest of the fallback chain stays."""
    reason: str
    actor: str
    at: str
    """RFC 3339, UTC."""

    def __post_init__(self) -> None:
        if (self.scope is Scope.ALL) != (self.name == ""):
            raise ValueError(f"a kill of `{self.scope}` with the name `{self.name}`")


@dataclass(frozen=True, slots=True)
class Kills:
    """Everything that is turned off, at one moment."""

    kills: tuple[Kill, ...] = ()

    def of_task(self, task: str) -> Kill | None:
        """Return what stops every model for a task; the stricter one if two do."""
        found = [k for k in self.kills if k.scope is Scope.ALL or _is(k, Scope.TASK, task)]
        return min(found, key=lambda kill: kill.leaves is Leaves.RULES, default=None)

    def of_model(self, model: str) -> Kill | None:
        """Return what stops a model."""
        return next((kill for kill in self.kills if _is(kill, Scope.MODEL, model)), None)


def _is(kill: Kill, scope: Scope, name: str) -> bool:
    return kill.scope is scope and kill.name == name


class KillSwitch:
    """The switch as this replica knows it. `refresh` is to be called each `EVERY_S`.

    While the store is away, what was known last holds. Changes are audited by the caller.
    """

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self.now = Kills()
        """What is off. Read it once a request: it is replaced whole."""

    async def refresh(self) -> Kills:
        """Read what every replica is to know.

        Raises:
            StorageFailed: the store is away.
            Corrupt: the state is malformed; nothing is turned on by that.

        """
        self.now = _read(await self._shared.read(STATE))
        return self.now

    async def turn_off(self, kill: Kill) -> None:
        """Turn something off; a second time replaces reason and actor. Raises as `refresh`."""

        def change(before: str | None) -> str:
            return _write([*_without(_read(before).kills, kill.scope, kill.name), kill])

        await self._shared.change(STATE, change)
        await self.refresh()

    async def turn_on(self, scope: Scope, name: str = "") -> None:
        """Turn something on again. Raises as `refresh`, too.

        Raises:
            NotFound: it is not off.

        """

        def change(before: str | None) -> str:
            kills = _read(before).kills
            left = _without(kills, scope, name)
            if len(left) == len(kills):
                what = f"{scope} {name}".strip()
                raise NotFound(
                    f"`{what}` is not turned off",
                    hint="see `lockgate kill list`",
                    request_hint="see `GET /admin/kills`",
                )
            return _write(left)

        await self._shared.change(STATE, change)
        await self.refresh()


def _without(kills: Sequence[Kill], scope: Scope, name: str) -> list[Kill]:
    return [kill for kill in kills if not _is(kill, scope, name)]


def _write(kills: Sequence[Kill]) -> str:
    return json.dumps([asdict(kill) for kill in kills])


def _read(text: str | None) -> Kills:
    try:
        stored = json.loads(text or "[]")
        return Kills(
            tuple(
                Kill(
                    **(
                        fields
                        | {"scope": Scope(fields["scope"]), "leaves": Leaves(fields["leaves"])}
                    )
                )
                for fields in stored
            )
        )
    except (ValueError, TypeError, KeyError) as error:
        raise Corrupt(f"the state of the kill switch is malformed: {error}") from error
