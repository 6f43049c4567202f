"""`lockgate task`: what tasks there are, what they promise, and a new one."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.domain.digest import Json
from lockgate.errors import NotFound

if TYPE_CHECKING:
    from lockgate.app.explaining import Explanation
    from lockgate.ports import Task

EXIT_FAILED_CASE = 1
EXIT_FORBIDDEN = 100
EXIT_TOO_FEW = 101
_FEATURES = 20


@click.group()
def task() -> None:
    """List, show, check and create tasks."""


@task.command("list", epilog=examples("lockgate task list", "lockgate task list --json"))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_tasks(session: Session, *, as_json: bool) -> None:
    """List the tasks that can be run here."""
    from lockgate.app.tasks import task_names

    specs = [_find(session, name).spec for name in task_names(session.loaded)]
    if as_json:
        data_json([{"name": s.name, "version": s.version, "title": s.title} for s in specs])
        return
    table(("NAME", "VERSION", "TITLE"), [(s.name, s.version, s.title) for s in specs])


@task.command(
    "show", epilog=examples("lockgate task show review", "lockgate task show review --json")
)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the schemas.")
@click.pass_obj
def show_task(session: Session, name: str, *, as_json: bool) -> None:
    """Show the contract of the task NAME and the release that runs it."""
    from lockgate.app.releases import release_of

    found = _find(session, name)
    spec = found.spec
    release = release_of(session.loaded, session.models(), spec)
    if as_json:
        data_json(
            {
                "name": spec.name,
                "version": spec.version,
                "title": spec.title,
                "aliases": list(spec.aliases),
                "formats": list(spec.formats),
                "engine": str(spec.engine),
                "on_unavailable": str(spec.on_unavailable),
                "checks": ["schema", *(check.name for check in found.checks)],
                "cases": len(spec.cases),
                "release": {"digest": str(release.digest), **release.document},
                "input_schema": spec.input_schema,
                "output_schema": spec.output_schema,
            }
        )
        return
    data(f"{spec.name} {spec.version}: {spec.title}")
    data(f"  formats   {', '.join(spec.formats)}")
    data(f"  checks    {', '.join(['schema', *(check.name for check in found.checks)])}")
    data(f"  cases     {len(spec.cases)}")
    data(f"  engine    {spec.engine}")
    data(f"  fallback  {spec.on_unavailable}")
    data(f"  release   {release.digest}")
    for pin in sorted(release.pins):
        data(f"  {pin.role:<9} {pin.name} on {pin.backend}, {pin.digest}")


@task.command(
    "check",
    epilog=examples(
        "lockgate task check log-triage", "lockgate task check log-triage --engine model"
    ),
)
@click.argument("name")
@click.option(
    "--engine",
    type=click.Choice(["rules", "model"]),
    help="What answers the cases.  [default: as the task says]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def check_task(session: Session, name: str, engine: str | None, *, as_json: bool) -> int:
    """Check the task NAME: its files, its schemas, and its evaluation cases."""
    found = _find(session, name)
    engine = engine or str(found.spec.engine)
    from lockgate.app.cases import run_cases

    results = session.run(partial(run_cases, session.loaded, session.environment, found, engine))
    failed = [result for result in results if result["problems"]]
    if as_json:
        data_json({"task": found.spec.name, "engine": engine, "cases": results})
    else:
        for result in results:
            data(f"{'FAIL' if result['problems'] else 'ok  '}  {result['name']}")
            problems = result["problems"]
            assert isinstance(problems, list)
            for problem in problems:
                data(f"      {problem}")
        data(f"{len(results) - len(failed)} of {len(results)} case(s) passed")
    return EXIT_FAILED_CASE if failed else 0


@task.command(
    "explain",
    epilog=examples(
        "lockgate task explain release-notes --suite suites/notes.yaml",
        "lockgate task explain release-notes --suite suites/notes.yaml --forbid 'author=*'",
    )
    + "\n\n\b\nExit status: 0, 100 what is forbidden counts, 101 there are too few rows.",
)
@click.argument("name")
@click.option("--suite", required=True, metavar="FILE", help="The suite whose cases are run.")
@click.option(
    "--forbid",
    "forbidden",
    multiple=True,
    metavar="FEATURE",
    help="A feature that must not count, or the beginning of some and `*`.",
)
@click.option(
    "--limit",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="The share of all weight that forbidden features may carry.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def explain_task(session: Session, /, name: str, *, as_json: bool, **chosen: Any) -> int:
    """Say what the linear classifiers of the task NAME look at: exact Shapley values."""
    from lockgate.app.explaining import explain

    found = session.run(
        partial(explain, session.loaded, session.environment, _find(session, name), **chosen)
    )
    if as_json:
        data_json([_explained(one) for one in found])
    else:
        for one in found:
            data(f"{one.model}, {one.rows} row(s)")
            for feature, share in one.shares[:_FEATURES]:
                data(f"  {share:6.1%}  {feature}")
            if one.ruling is not None:
                data(f"{one.ruling.verdict}: {one.ruling.reason}")
    verdicts = {str(one.ruling.verdict) for one in found if one.ruling is not None}
    if "fail" in verdicts:
        return EXIT_FORBIDDEN
    return EXIT_TOO_FEW if "inconclusive" in verdicts else 0


@task.command(
    "new",
    epilog=examples(
        "lockgate task new log-triage", "lockgate task new log-triage --folder ci/tasks"
    ),
)
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to make it.  [default: the first of `task_folders`]",
)
@click.pass_obj
def new_task(session: Session, name: str, folder: Path | None) -> None:
    """Make a prompt-only task NAME that runs and has a passing evaluation case."""
    from lockgate.tasks.prompt.folder import create

    loaded = session.loaded
    parent = folder or loaded.resolve(next(iter(loaded.config.task_folders), Path("tasks")))
    for path in create(parent / name, name):
        data(str(path))
    words(f"next: lockgate task check {name}")
    words(f"      echo 'no space left on device' | lockgate run {name}")


def _explained(one: "Explanation") -> dict[str, Json]:
    shares: list[Json] = [
        {"feature": feature, "share": share} for feature, share in one.shares[:_FEATURES]
    ]
    ruling = None if one.ruling is None else one.ruling.document
    return {"model": one.model, "rows": one.rows, "features": shares, "ruling": ruling}


def _find(session: Session, name: str) -> "Task":
    from lockgate.app.tasks import find_task

    found = find_task(session.loaded, name)
    if found is None:
        raise NotFound(
            f"there is no task `{name}`", hint="list the tasks with `lockgate task list`"
        )
    return found
