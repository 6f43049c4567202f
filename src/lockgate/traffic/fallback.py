"""What may answer a call, in which order. A pure decision: nothing here is called or counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lockgate.domain.call import DataClass, EngineKind
from lockgate.domain.digest import Digest
from lockgate.traffic.kill_switch import Kills, Leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to an answer: a release on a backend, or the rules."""

    engine: EngineKind
    release: Digest | None = None
    """None for rules."""
    model: str = ""
    backend: str = ""
    data_classes: frozenset[DataClass] = frozenset(DataClass)
    """What may be sent there. Rules run in this process and take everything."""

    def __post_init__(self) -> None:
        if self.engine is EngineKind.RULES and self.data_classes != frozenset(DataClass):
            raise ValueError("rules run in this process: no data leaves it")


class Obstacle(StrEnum):
    """Why a candidate is passed over."""

    DATA_CLASS = "data class"
    TASK_OFF = "task turned off"
    MODEL_OFF = "model turned off"
    CIRCUIT_OPEN = "circuit open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What to try in turn, and what was passed over and why, for the audit log."""

    candidates: tuple[Candidate, ...]
    passed_over: tuple[tuple[Candidate, Obstacle], ...] = ()


def chain(
    candidates: Sequence[Candidate],
    data_class: DataClass,
    *,
    task: str,
    kills: Kills,
    is_open: Callable[[str], bool],
) -> Chain:
    """Return the candidates that may answer a call of that data class, in the order given.

    The order never changes, so the same call takes the same way. `is_open` says whether the
    circuit of a backend is open, without taking a probe. An open circuit is passed over only if
    something else is left: a doomed try may still succeed, and nothing at all never does.
    """
    left: list[Candidate] = []
    passed_over: list[tuple[Candidate, Obstacle]] = []
    for candidate in candidates:
        obstacle = _obstacle(candidate, data_class, task, kills)
        if obstacle is None:
            left.append(candidate)
        else:
            passed_over.append((candidate, obstacle))
    closed = [c for c in left if c.engine is EngineKind.RULES or not is_open(c.backend)]
    if closed:
        passed_over += [(c, Obstacle.CIRCUIT_OPEN) for c in left if c not in closed]
        left = closed
    return Chain(candidates=tuple(left), passed_over=tuple(passed_over))


def _obstacle(
    candidate: Candidate, data_class: DataClass, task: str, kills: Kills
) -> Obstacle | None:
    if data_class not in candidate.data_classes:
        return Obstacle.DATA_CLASS
    off = kills.of_task(task)
    if candidate.engine is EngineKind.RULES:
        return Obstacle.TASK_OFF if off is not None and off.leaves is Leaves.NOTHING else None
    if off is not None:
        return Obstacle.TASK_OFF
    return Obstacle.MODEL_OFF if kills.of_model(candidate.model) else None
