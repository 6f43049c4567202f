"""The tasks that can be run here: built-in ones by a table, prompt-only ones by their folders."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from lockgate.config.load import Loaded
from lockgate.errors import InvalidConfig
from lockgate.ports import Task

BUILT_IN: Mapping[str, str] = {
    "release-notes": "lockgate.tasks.release_notes.task:ReleaseNotes",
    "review": "lockgate.tasks.review.task:Review",
}
_ALIASES: Mapping[str, str] = {"changelog": "release-notes"}


def task_names(loaded: Loaded) -> list[str]:
    """Return the names of all tasks, without aliases."""
    return sorted({*BUILT_IN, *task_folders(loaded)})


def find_task(loaded: Loaded, name: str) -> Task | None:
    """Return the task of that name or alias; None if there is none."""
    name = _ALIASES.get(name, name)
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        # Each name comes from the table above.
        task: Task = getattr(import_module(module), attribute)()
        return task
    folder = task_folders(loaded).get(name)
    return None if folder is None else _prompt_task(folder, name)


def task_folders(loaded: Loaded) -> Mapping[str, Path]:
    """Return the folders of prompt-only tasks by name; a built-in name is never taken over."""
    found: dict[str, Path] = {}
    for parent in loaded.config.task_folders:
        for manifest in sorted(loaded.resolve(parent).glob("*/task.toml")):
            found.setdefault(manifest.parent.name, manifest.parent)
    for name, task in loaded.config.tasks.items():
        if task.path is not None:
            found[name] = loaded.resolve(task.path)
    return {name: path for name, path in found.items() if name not in {*BUILT_IN, *_ALIASES}}


def _prompt_task(folder: Path, name: str) -> Task:
    from lockgate.tasks.prompt.folder import read
    from lockgate.tasks.prompt.task import PromptTask

    task = PromptTask(read(folder))
    if task.spec.name != name:
        raise InvalidConfig(
            f"the task in `{folder}` calls itself `{task.spec.name}`, not `{name}`",
            hint="give the folder and `name` in task.toml the same name",
        )
    return task
