"""Who may do what, and what may go where. Pure: everything needed is in the arguments."""

from lockgate.domain.call import DataClass, Principal
from lockgate.errors import Denied

ALL_TASKS = "task:*"


def authorise(principal: Principal, task: str) -> None:
    """Let the principal call the task, or refuse.

    Raises:
        Denied: the principal holds neither `task:NAME` nor `task:*`.

    """
    if principal.scopes.isdisjoint({ALL_TASKS, f"task:{task}"}):
        raise Denied(
            f"`{principal.name}` may not call the task `{task}`",
            hint=f"the scope `task:{task}` is needed",
        )


def authorise_egress(data_class: DataClass, backend: str, allowed: frozenset[DataClass]) -> None:
    """Let data of a class reach a backend, or refuse.

    Raises:
        Denied: the backend does not take that class.

    """
    if data_class not in allowed:
        takes = ", ".join(sorted(allowed)) or "nothing"
        raise Denied(
            f"data of class `{data_class}` may not reach the backend `{backend}`, "
            f"which takes: {takes}",
            hint=f"choose another backend, or add the class to `backends.{backend}.data_classes`",
        )
