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
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
