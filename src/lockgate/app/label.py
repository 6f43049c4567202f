"""The queue of doubtful answers of a task: filled from the audit log, judged, turned into cases."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from lockgate.app.state import open_store
from lockgate.app.tasks import find_task
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.datasets.labels import (
    Answers,
    Item,
    Judgement,
    Label,
    confidence_of,
    doubts,
    ordered,
)
from lockgate.datasets.rows import read_table
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.errors import InvalidInput, NotFound, StorageFailed
from lockgate.ports import Task, Unit

T = TypeVar("T")

MAX_ITEMS: Final = 10_000
_PAGE: Final = 500
_MISFIT: Final = "the correction does not match the task's output schema"


@dataclass(slots=True)
class Queue:
    """A task's queue: two files of JSON Lines that only grow."""

    task: Task
    folder: Path
    items: list[Item]
    labels: list[Label]

    def pending(self, labeller: str) -> list[Item]:
        """Return what a person has not judged, the most doubtful first."""
        done = {label.call for label in self.labels if label.labeller == labeller}
        return ordered(item for item in self.items if item.call not in done)

    def judge(self, label: Label) -> None:
        """Note what a person said; the newest word of each counts.

        Raises:
            InvalidInput: there is no such answer, or the correction is no output of the task.
            StorageFailed: the disk is full.

        """
        item = next((item for item in self.items if item.call == label.call), None)
        if item is None:
            raise InvalidInput(f"the call `{label.call}` is not in the queue")
        if label.judgement is Judgement.ACCEPT and item.output is None:
            raise InvalidInput(f"the call `{label.call}` got no answer that could be accepted")
        if label.expect is not None and (problems := self.problems(label.expect)):
            raise InvalidInput(f"{_MISFIT}: {problems[0]}")
        _append(self.folder / "labels.jsonl", [label.document])
        self.labels.append(label)

    def problems(self, output: JsonObject) -> Sequence[str]:
        """Say what keeps an object from being an output of the task."""
        from lockgate.checks.schema import JsonSchemaValidator

        return JsonSchemaValidator().problems(self.task.spec.output_schema, output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What the audit log gave."""

    queue: Queue
    new: int
    gone: int
    """Doubtful calls whose content is no longer kept."""


async def collect(
    loaded: Loaded, environment: Environment, name: str, *, below: float
) -> Collected:
    """Read the queue, and add what the audit log has of doubtful answers since.

    Raises:
        NotFound: there is no such task.
        InvalidInput: a file of the queue is damaged.
        StorageFailed: the queue cannot be written.

    """
    task = find_task(loaded, name)
    if task is None:
        raise NotFound(
            f"there is no task `{name}`", hint="list the tasks with `lockgate task list`"
        )
    folder = environment.state_dir / "labels" / task.spec.name
    items = _read(folder / "queue.jsonl", Item.read)
    labels = _read(folder / "labels.jsonl", Label.read)
    queue = Queue(task, folder, items, labels)
    known = {item.call for item in items}
    new: list[Item] = []
    gone = 0
    answers = Answers()
    async with open_store(loaded, environment) as store, store.begin() as unit:
        last = 0
        while events := await unit.events(after=last, limit=_PAGE):
            last = events[-1].seq
            for event in events:
                entry = event.entry
                if entry.action != "call" or entry.subject != task.spec.name:
                    continue
                other = answers.differing(entry.id, entry.detail)
                if entry.id in known:
                    continue
                output = await _content(unit, entry.detail, "output")
                reasons = [*doubts(entry.detail, output, below=below), *other]
                if not reasons or len(items) + len(new) >= MAX_ITEMS:
                    continue
                given = await _content(unit, entry.detail, "input")
                inner = given.get("input") if given else None
                if not isinstance(inner, dict):
                    gone += 1
                    continue
                item = Item(
                    call=entry.id,
                    at=entry.at.isoformat(timespec="seconds"),
                    reasons=tuple(reasons),
                    confidence=confidence_of(output),
                    input=inner,
                    output=output,
                )
                new.append(item)
    if new:
        _append(folder / "queue.jsonl", [item.document for item in new])
    return Collected(queue=replace(queue, items=[*items, *new]), new=len(new), gone=gone)


async def _content(unit: Unit, detail: JsonObject, name: str) -> JsonObject | None:
    digest = detail.get(name)
    data = await unit.payload(Digest.parse(digest)) if isinstance(digest, str) else None
    value = json.loads(data) if data is not None else None
    return value if isinstance(value, dict) else None


def import_labels(queue: Queue, path: Path, *, labeller: str) -> tuple[int, list[str]]:
    """Take labels from JSON Lines; return how many, and what was wrong with the others.

    Raises:
        NotFound: the file cannot be read.

    """
    table = read_table(path)
    wrong = [f"`{path}`, line {broken.line}: {broken.problem}" for broken in table.broken]
    taken = 0
    for row in table.rows:
        if row.value.get("judgement") is None:  # exported, and not judged yet
            continue
        try:
            queue.judge(Label.read(row.value, labeller=labeller))
        except InvalidInput as error:
            wrong.append(f"`{path}`, line {row.line}: {error.message}")
        else:
            taken += 1
    return taken, wrong


def export_rows(items: Iterable[Item]) -> list[JsonObject]:
    """Return items with room for a judgement, as `import_labels` takes them back."""
    return [{**item.document, "judgement": None, "expect": None} for item in items]


def _read(path: Path, parse: Callable[[JsonObject], T]) -> list[T]:
    if not path.is_file():
        return []
    table = read_table(path)
    if table.broken:
        first = table.broken[0]
        raise InvalidInput(
            f"`{path}`, line {first.line}: {first.problem}", hint="mend or remove that line"
        )
    return [parse(row.value) for row in table.rows]


def _append(path: Path, rows: Sequence[JsonObject]) -> None:
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write("".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise StorageFailed(f"`{path}` cannot be written: {error.strerror}") from error


def status(queue: Queue) -> dict[str, Json]:
    """Return counts: what waits, and who judged how much."""
    people: dict[str, int] = {}
    for label in {(one.call, one.labeller): one for one in queue.labels}.values():
        people[label.labeller] = people.get(label.labeller, 0) + 1
    judged = {label.call for label in queue.labels}
    waiting = sum(item.call not in judged for item in queue.items)
    return {
        "task": queue.task.spec.name,
        "doubtful": len(queue.items),
        "waiting": waiting,
        "labellers": dict(sorted(people.items())),
    }
