"""Calls by the person at this machine."""

import getpass
import os
import time

from lockgate.config.load import Loaded
from lockgate.domain.call import Call, EngineKind, Principal
from lockgate.domain.digest import JsonObject
from lockgate.domain.policy import ALL_TASKS
from lockgate.domain.task import TaskSpec


def new_call(
    loaded: Loaded, task: TaskSpec, given: JsonObject, *, engine: str | None = None
) -> Call:
    """Return a call by the OS user. `engine` None: as the configuration says, else the task."""
    chosen = loaded.config.task(task.name).engine
    return Call(
        id=new_id(),
        principal=os_user(),
        task=task.name,
        input=given,
        engine=EngineKind(engine) if engine else chosen or task.engine,
        data_class=loaded.config.data.default_class,
    )


def os_user() -> Principal:
    """Return the person at this machine, who may call every task."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container with an arbitrary user id has no name
        name = f"uid-{os.getuid()}"
    return Principal(name=name, scopes=frozenset({ALL_TASKS}))


def new_id() -> str:
    """Return a UUID version 7 (RFC 9562 section 5.7): sorts by time, to the millisecond."""
    return uuid7(int.from_bytes(os.urandom(10)))


def uuid7(random: int) -> str:
    """Return the id of this moment with 80 random bits."""
    when = f"{time.time_ns() // 1_000_000:012x}"
    rest = f"{random:020x}"
    variant = "89ab"[random >> 60 & 3]
    return f"{when[:8]}-{when[8:12]}-7{rest[1:4]}-{variant}{rest[5:8]}-{rest[8:]}"
