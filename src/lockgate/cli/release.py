"""`lockgate release`: what runs, pinned by digest."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import click

from lockgate.cli.bom import release_bom
from lockgate.cli.options import examples
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.release_moving import copy_release, export_release, import_release, pull, push
from lockgate.cli.release_signing import approve, attest, decision, evaluate, verify
from lockgate.cli.release_testing import attest_tests
from lockgate.cli.session import Session
from lockgate.domain.digest import Digest, Json
from lockgate.errors import NotFound

if TYPE_CHECKING:
    from lockgate.domain.promotion import Alias, Promotion
    from lockgate.domain.release import Pin, Release
    from lockgate.domain.release_diff import Difference
    from lockgate.domain.task import TaskSpec
    from lockgate.oci.releases import StoredRelease

SHORT = 12
_REF = "`sha256:…`, its first digits, TASK:ALIAS or TASK@ENVIRONMENT"


@click.group(
    epilog=f"A release is named by {_REF}. Names move and are audited; the digest never does."
)
def release() -> None:
    """Build, compare and move releases: task, models and prompts, pinned by digest."""


@release.command(
    "build",
    epilog=examples(
        "lockgate release build review", "lockgate release build review --tag candidate"
    ),
)
@click.argument("task")
@click.option("--parent", "parents", multiple=True, metavar="RELEASE", help="What it follows.")
@click.option("--tag", "alias", help="Give the release this alias.")
@click.option("--json", "as_json", is_flag=True, help="Print the document as JSON.")
@click.pass_obj
def build_release(
    session: Session, task: str, parents: Sequence[str], alias: str | None, *, as_json: bool
) -> None:
    """Build the release of TASK as it is configured here, and print its digest.

    The same task, models and parents give the same digest on every machine.
    """
    digest, built = session.run(partial(_build, session, task, parents, alias))
    if as_json:
        data_json({"digest": str(digest), **built.document})
        return
    data(str(digest))
    words(f"{built.task} {built.version}: {len(built.pins)} pin(s)")
    words(f"next: lockgate release show {digest.hex[:SHORT]}")


@release.command(
    "list", epilog=examples("lockgate release list", "lockgate release list --task review --json")
)
@click.option("--task", help="Only releases of this task.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def list_releases(session: Session, task: str | None, *, as_json: bool) -> None:
    """List the releases of this machine, with their aliases and where they run."""
    found, aliases, running = session.run(partial(_list, session, task))
    rows: list[dict[str, Json]] = [
        {
            "task": item.release.task,
            "version": item.release.version,
            "digest": str(item.digest),
            "aliases": [a.name for a in aliases if (a.task, a.release) == _key(item)],
            "environments": [p.environment for p in running if (p.task, p.release) == _key(item)],
            "complete": not item.missing,
        }
        for item in found
    ]
    if as_json:
        data_json(rows)
        return
    table(
        ("TASK", "VERSION", "RELEASE", "ALIASES", "RUNS IN"),
        [
            (
                str(row["task"]),
                str(row["version"]),
                str(row["digest"]).removeprefix("sha256:")[:SHORT],
                _listed(row["aliases"]),
                _listed(row["environments"]) + ("" if row["complete"] else " (incomplete)"),
            )
            for row in rows
        ],
    )


@release.command(
    "show",
    epilog=examples("lockgate release show 1f2e3d4c5b6a", "lockgate release show review:stable"),
)
@click.argument("reference", metavar="RELEASE")
@click.option("--json", "as_json", is_flag=True, help="Print the document as JSON.")
@click.pass_obj
def show_release(session: Session, reference: str, *, as_json: bool) -> None:
    """Show what RELEASE pins."""
    found = session.run(partial(_get, session, reference))
    if as_json:
        data_json({"digest": str(found.digest), **found.release.document})
        return
    shown = found.release
    data(f"{shown.task} {shown.version}")
    data(f"  release   {found.digest}")
    for parent in shown.parents:
        data(f"  follows   {parent}")
    code = shown.code
    data(f"  code      {code['distribution']} {code['version']}, {code['digest']}")
    for pin in sorted(shown.pins):
        data(f"  {pin.role:<9} {_pin(pin)}{'' if pin not in found.missing else '  (not here)'}")
    for group, values in (("decoding", shown.decoding), ("runtime", shown.runtime)):
        for name, value in values.items():
            data(f"  {group:<9} {name}: {value}")


@release.command("diff", epilog=examples("lockgate release diff review:stable review:candidate"))
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def diff_releases(session: Session, before: str, after: str, *, as_json: bool) -> None:
    """Say what changes from release A to release B.

    Pins, parameters, prompt texts, licences, and what evaluators of the trust root measured.
    """
    found = session.run(partial(_diff, session, before, after))
    if as_json:
        data_json([difference.document for difference in found])
        return
    if not found:
        words("no difference")
    for difference in found:
        data(f"{difference.what}: {difference.before or '-'} -> {difference.after or '-'}")
        for line in difference.lines:
            data(f"  {line}")


@release.command("tag", epilog=examples("lockgate release tag 1f2e3d4c5b6a stable"))
@click.argument("reference", metavar="RELEASE")
@click.argument("alias")
@click.pass_obj
def tag_release(session: Session, reference: str, alias: str) -> None:
    """Let ALIAS stand for RELEASE from now on. The move is audited."""
    session.run(partial(_tag, session, reference, alias))


@release.command("untag", epilog=examples("lockgate release untag review stable"))
@click.argument("task")
@click.argument("alias")
@click.pass_obj
def untag_release(session: Session, task: str, alias: str) -> None:
    """Take ALIAS of TASK away. The release stays."""
    session.run(partial(_untag, session, task, alias))


release.add_command(release_bom)
for _command in (
    *(attest, attest_tests, evaluate, approve, verify, decision),
    *(push, pull, copy_release, export_release, import_release),
):
    release.add_command(_command)


async def _build(
    session: Session, task: str, parents: Sequence[str], alias: str | None
) -> tuple[Digest, "Release"]:
    from lockgate.app.models import release_store
    from lockgate.app.release_build import build, find_release
    from lockgate.app.release_names import built, move_alias

    spec = _spec(session, task)
    releases = release_store(session.environment)
    async with session.store() as state:
        follows = [await find_release(parent, releases, state) for parent in parents]
        digest, found = build(session.loaded, session.environment, spec, parents=follows)
        await built(state, digest, found, _now())
        if alias is not None:
            await move_alias(state, found.task, alias, digest, _now())
    return digest, found


async def _list(
    session: Session, task: str | None
) -> tuple[Sequence["StoredRelease"], Sequence["Alias"], Sequence["Promotion"]]:
    from lockgate.app.models import release_store
    from lockgate.app.release_names import running

    async with session.store() as state:
        async with state.begin() as unit:
            aliases = await unit.aliases(task)
        return release_store(session.environment).list(task), aliases, await running(state)


async def _get(session: Session, reference: str) -> "StoredRelease":
    from lockgate.app.models import release_store
    from lockgate.app.release_build import find_release

    releases = release_store(session.environment)
    async with session.store() as state:
        return releases.get(await find_release(reference, releases, state))


async def _diff(session: Session, before: str, after: str) -> Sequence["Difference"]:
    from lockgate.app.release_compare import compare

    old, new = await _get(session, before), await _get(session, after)
    return compare(old, new, session.environment, _now())


async def _tag(session: Session, reference: str, alias: str) -> None:
    from lockgate.app.models import release_store
    from lockgate.app.release_build import find_release
    from lockgate.app.release_names import move_alias

    releases = release_store(session.environment)
    async with session.store() as state:
        found = releases.get(await find_release(reference, releases, state))
        await move_alias(state, found.release.task, alias, found.digest, _now())


async def _untag(session: Session, task: str, alias: str) -> None:
    from lockgate.app.release_names import drop_alias

    async with session.store() as state:
        await drop_alias(state, task, alias, _now())


def _spec(session: Session, name: str) -> "TaskSpec":
    from lockgate.app.tasks import find_task

    found = find_task(session.loaded, name)
    if found is None:
        raise NotFound(
            f"there is no task `{name}`", hint="list the tasks with `lockgate task list`"
        )
    return found.spec


def _now() -> datetime:
    return datetime.now(UTC)


def _key(item: "StoredRelease") -> tuple[str, Digest]:
    return item.release.task, item.digest


def _pin(pin: "Pin") -> str:
    where = f" on {pin.backend}" if pin.backend else ""
    kind = f"{pin.kind} " if pin.kind else "external model "
    return f"{kind}{pin.name}{where}, {pin.digest}"


def _listed(value: Json) -> str:
    assert isinstance(value, Sequence)
    return ", ".join(str(item) for item in value) or "-"
