"""Finds what a suite's name and its providers stand for in this installation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.evals_models import MODEL_PREFIX, is_model
from lockgate.app.tasks import find_task, task_folders
from lockgate.config.load import Loaded
from lockgate.domain.digest import Digest, Json, JsonObject
from lockgate.errors import NotFound, UsageError
from lockgate.evals.assertion import Assertion
from lockgate.evals.files import Files
from lockgate.evals.load import load_suite
from lockgate.evals.suite import Place, Prompt, Provider, Suite, TestCase
from lockgate.ports import Task

CONFIG = "promptfooconfig.yaml"
ECHO = "echo"
TASK_PREFIX = "lockgate:task:"
_EXPECTED = "expected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A suite, and where it was."""

    suite: Suite
    shown: str
    """Its name for people."""
    files: Files
    """Those that it may read."""
    digest: Digest
    """Of the suite's file, or of the task's own cases."""
    path: Path | None = None


def find_suite(loaded: Loaded, target: str, *, here: Path | None = None) -> Found:
    """Return the suite in a file or a folder, of a task, or of the working directory `here`.

    Raises:
        InvalidConfig: it is not valid.
        NotFound: there is neither a suite nor a task of that name.

    """
    here = (here or Path.cwd()).resolve()
    path = here / (target or CONFIG)
    if path.is_dir():
        path /= CONFIG
    if not path.is_file():
        task = find_task(loaded, target) if target else None
        if task is None:
            raise NotFound(
                f"there is neither a suite nor a task `{target or CONFIG}`",
                hint="give a promptfooconfig.yaml, or a name of `lockgate task list`",
            )
        folder = task_folders(loaded).get(task.spec.name)
        if folder is None or not (folder / CONFIG).is_file():
            return _own_cases(task, here)
        path = folder / CONFIG
    resolved = path.resolve()
    root = here if resolved.is_relative_to(here) else resolved.parent
    suite = load_suite(path, root=root)
    return Found(
        suite=suite,
        shown=resolved.relative_to(root).as_posix(),
        files=Files(resolved.parent, root),
        digest=Digest.of(resolved.read_bytes()),
        path=resolved,
    )


def _own_cases(task: Task, folder: Path) -> Found:
    """Return a task's own evaluation cases as a suite."""
    name = task.spec.name
    tests = tuple(
        TestCase(
            place=Place(path=f"{name}/cases.jsonl", line=number),
            description=case.name,
            variables={**case.input},
            assertions=(Assertion(type="is-json", value=_members(case.expect), has_value=True),),
            options={"disableVarExpansion": True},
        )
        for number, case in enumerate(task.spec.cases, 1)
    )
    suite = Suite(
        description=f"{task.spec.title}: the task's own cases",
        folder=folder,
        prompts=(Prompt(raw="", label=_EXPECTED),),
        providers=(Provider(id=f"{TASK_PREFIX}{name}", config={"input": "variables"}),),
        sources=tests,
        default=TestCase(place=Place(path=name, line=1)),
    )
    cases: list[Json] = [[case.name, case.input, case.expect] for case in task.spec.cases]
    return Found(
        suite=suite,
        shown=name,
        files=Files(folder, folder.resolve()),
        digest=Digest.of_json(cases),
    )


def _members(expected: JsonObject) -> JsonObject:
    """Return the JSON Schema of objects that have these members, nested ones likewise."""
    return {
        "type": "object",
        "required": list(expected),
        "properties": {
            name: _members(value) if isinstance(value, Mapping) else {"const": value}
            for name, value in expected.items()
        },
    }


def tasks_of(loaded: Loaded, suite: Suite) -> Mapping[str, Task]:
    """Return the tasks that the suite's providers name.

    Raises:
        UsageError: a provider is no task, no model and not `echo`; all of them are listed.

    """
    found: dict[str, Task] = {}
    unknown: list[str] = []
    for provider in suite.providers:
        if provider.id == ECHO or is_model(provider):
            continue
        name = provider.id.removeprefix(TASK_PREFIX)
        task = find_task(loaded, name) if name != provider.id else None
        if task is None:
            unknown.append(f"`{provider.id}`")
        else:
            found[provider.id] = task
    if unknown:
        raise UsageError(
            f"there is no provider {', '.join(unknown)} here",
            hint=f"run it on ours: --provider {TASK_PREFIX}NAME, {MODEL_PREFIX}NAME or {ECHO}",
        )
    return found
