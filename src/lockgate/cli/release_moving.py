"""`lockgate release push | pull | copy | export | import`: releases between machines."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.options import examples, json_option
from lockgate.cli.output import data, data_json, words
from lockgate.cli.session import Session
from lockgate.domain.digest import Digest, Json

if TYPE_CHECKING:
    from lockgate.app.registries import Registries
    from lockgate.oci.closure import Moved

SHORT = 12
_ADDRESS = "oci://HOST/REPOSITORY[:TAG]"


@click.command(
    "push",
    epilog=examples(
        "lockgate release push review:stable oci://registry.example.org/ai/review:1.4.0"
    ),
)
@click.argument("reference", metavar="RELEASE")
@click.argument("target", metavar=_ADDRESS)
@json_option
@click.pass_obj
def push(session: Session, reference: str, target: str, *, as_json: bool) -> None:
    """Push RELEASE with all that it pins, and what is said about them.

    Without a tag in the address, the release's version is the tag.
    """
    digest = session.run(partial(_digest, session, reference))
    moved = _registries(session).push_release(digest, target)
    _note(session, "release.push", moved, {"to": target})
    _show(moved, "pushed", as_json=as_json)


@click.command(
    "pull",
    epilog=examples(
        "lockgate release pull oci://registry.example.org/ai/review:1.4.0",
        "lockgate release pull oci://registry.example.org/ai/review@sha256:1f2e…",
    ),
)
@click.argument("source", metavar="oci://HOST/REPOSITORY:TAG")
@json_option
@click.pass_obj
def pull(session: Session, source: str, *, as_json: bool) -> None:
    """Pull a release with all that it pins, and what is said about them.

    Every byte is hashed. Nothing becomes visible before all is here; a pull that broke off goes on
    where it stopped. Whether to run it, the gate decides: see `promote`.
    """
    moved = _registries(session).pull_release(source)
    _note(session, "release.pull", moved, {"from": source})
    _show(moved, "pulled", as_json=as_json)


@click.command(
    "copy",
    epilog=examples(
        "lockgate release copy oci://dev.example.org/ai/review:1.4.0 "
        "oci://prod.example.org/ai/review:1.4.0"
    ),
)
@click.argument("source", metavar="oci://HOST/REPOSITORY:TAG")
@click.argument("target", metavar=_ADDRESS)
@json_option
@click.pass_obj
def copy_release(session: Session, source: str, target: str, *, as_json: bool) -> None:
    """Copy a release from one repository to another, digests and attestations kept."""
    moved = _registries(session).copy(source, target)
    _note(session, "release.copy", moved, {"from": source, "to": target})
    _show(moved, "copied", as_json=as_json)


@click.command(
    "export", epilog=examples("lockgate release export review:stable -o review-1.4.0.tar")
)
@click.argument("reference", metavar="RELEASE")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.",
)
@json_option
@click.pass_obj
def export_release(session: Session, reference: str, output: Path, *, as_json: bool) -> None:
    """Write RELEASE with all that belongs to it into one file, for machines with no network."""
    from lockgate.oci.archive import export

    digest = session.run(partial(_digest, session, reference))
    layout = _layout(session)
    roots = {n: d for n, d in layout.manifests().items() if d.digest == digest}
    made = export(layout, roots, output)
    if as_json:
        data_json({"release": str(digest), "file": str(made.path), "bytes": made.size})
        return
    data(f"{made.path}: {made.size:,} bytes, {made.blobs} blob(s)")
    words(f"next: lockgate release import {made.path.name}, on the other machine")


@click.command("import", epilog=examples("lockgate release import review-1.4.0.tar"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def import_release(session: Session, file: Path, *, as_json: bool) -> None:
    """Take in what `lockgate release export` wrote: all of it, or nothing."""
    from lockgate.oci.archive import import_

    found = import_(_layout(session), file, prefix="release/")
    releases = {name: str(entry.digest) for name, entry in found.named.items()}
    detail: dict[str, Json] = {"file": file.name, "releases": sorted(releases.values())}
    session.run(partial(_audited, session, "release.import", detail))
    if as_json:
        data_json({"releases": releases, "attestations": found.attached, "bytes": found.size})
        return
    for name, digest in releases.items():
        data(f"{digest}  {name.split('/')[1]}")
    words(f"{found.blobs} blob(s), {found.size:,} bytes, {found.attached} attached")


def _registries(session: Session) -> "Registries":
    from datetime import UTC, datetime

    from lockgate.app.registries import Registries

    now = datetime.now(UTC)
    return Registries(session.loaded, session.environment, session.progress(), now)


def _layout(session: Session) -> Any:
    from lockgate.app.models import layout_of

    return layout_of(session.environment)


async def _digest(session: Session, reference: str) -> Digest:
    from lockgate.app.models import release_store
    from lockgate.app.release_build import find_release

    async with session.store() as state:
        return await find_release(reference, release_store(session.environment), state)


def _note(session: Session, action: str, moved: "Moved", places: Mapping[str, Json]) -> None:
    detail: dict[str, Json] = {"release": str(moved.root), **places}
    session.run(partial(_audited, session, action, detail))


async def _audited(session: Session, action: str, detail: dict[str, Json]) -> None:
    from datetime import UTC, datetime

    from lockgate.app.release_names import audited

    await audited(session.store, action, "release", detail, datetime.now(UTC))


def _show(moved: "Moved", done: str, *, as_json: bool) -> None:
    if as_json:
        data_json(
            {
                "release": str(moved.root),
                "manifests": moved.manifests,
                "blobs": moved.blobs,
                "bytes": moved.size,
                "sent": moved.sent,
            }
        )
        return
    data(str(moved.root))
    words(
        f"{done}: {moved.manifests} manifest(s), {moved.blobs} blob(s) with {moved.size:,} bytes, "
        f"{moved.sent} of them new"
    )
