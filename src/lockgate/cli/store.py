"""`lockgate store …`: the artifacts on this disk."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.domain.digest import Digest, Json

if TYPE_CHECKING:
    from lockgate.oci.garbage import Garbage

EXIT_DAMAGED = 1
_HOUR_S = 3600.0
_UNITS = ("B", "kB", "MB", "GB", "TB")
_THOUSAND = 1000

F = TypeVar("F", bound=Callable[..., object])


def _json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


@click.group(
    epilog="""\b
Examples:
  lockgate store usage
  lockgate store verify
  lockgate store gc --dry-run"""
)
def store() -> None:
    """Check, measure and clean the store of models and releases on this disk."""


@store.command(
    epilog="""\b
Examples:
  lockgate store gc --dry-run
  lockgate store gc --older-than 0"""
)
@click.option("--dry-run", is_flag=True, help="Say what would go; delete nothing.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Leave younger files alone: a pull may need them.",
)
@_json
@click.pass_obj
def gc(session: Session, *, dry_run: bool, older_than: float, as_json: bool) -> None:
    """Delete what no model and no release leads to, and what broken-off pulls left.

    Releases that an alias or a promotion points to stay, with all that they pin.
    """
    from lockgate.app.local_store import local_layout
    from lockgate.oci.garbage import collect

    found = collect(
        local_layout(session.environment),
        older_than_s=older_than * _HOUR_S,
        now=datetime.now(UTC).timestamp(),
        keep=session.run(lambda: _referred(session)),
        dry_run=dry_run,
    )
    if as_json:
        data_json(_collected(found, dry_run=dry_run))
        return
    for path in (*found.blobs, *found.partials):
        data(str(path))
    if not session.quiet:
        count = len(found.blobs) + len(found.partials)
        files = f"{count} file{'' if count == 1 else 's'}"
        words(f"{files}, {_bytes(found.size)} {'could be freed' if dry_run else 'freed'}")


@store.command(
    epilog="""\b
Examples:
  lockgate store verify
  lockgate store verify --full --json"""
)
@click.option("--full", is_flag=True, help="By SHA-256 only, also where a manifest has a BLAKE3.")
@_json
@click.pass_obj
def verify(session: Session, *, full: bool, as_json: bool) -> int:
    """Read every file of the store and compare it with its digest.

    Exit status: 0 if every byte is right, 1 if not.
    """
    from lockgate.app.local_store import local_layout, repair_command
    from lockgate.oci.integrity import check

    layout = local_layout(session.environment)
    found = check(layout, full=full)
    models = session.models()
    damages: list[dict[str, Json]] = [
        {
            "path": str(damage.path),
            "digest": damage.digest,
            "found": damage.found,
            "names": list(damage.names),
            "repair": repair_command(layout, models, damage),
        }
        for damage in found.damages
    ]
    if as_json:
        data_json({"files": found.files, "size": found.size, "damages": damages})
    else:
        for damage in damages:
            data(f"{damage['path']}: {damage['found']}, expected {damage['digest'] or 'none'}")
            data(f"  repair: {damage['repair']}")
        if not session.quiet:
            words(f"{found.files} files, {_bytes(found.size)}, {len(damages)} damaged")
    return EXIT_DAMAGED if damages else 0


@store.command(
    epilog="""\b
Examples:
  lockgate store usage
  lockgate store usage --json | jq .unused"""
)
@_json
@click.pass_obj
def usage(session: Session, *, as_json: bool) -> None:
    """Say what takes the space, by kind and name. Shared bytes count once in the total."""
    from lockgate.app.local_store import local_layout
    from lockgate.oci.usage import measure

    found = measure(local_layout(session.environment))
    if as_json:
        shares: list[Json] = [
            {
                "kind": share.kind,
                "name": share.name,
                "digest": str(share.digest),
                "files": share.files,
                "size": share.size,
                "own": share.own,
            }
            for share in found.shares
        ]
        totals = {"files": found.files, "size": found.size, "used": found.used}
        rest = {"unused": found.unused, "partial": found.partial}
        data_json({"artifacts": shares, **totals, **rest})
        return
    table(
        ("KIND", "NAME", "FILES", "SIZE", "OWN"),
        [
            (s.kind or "-", s.name, str(s.files), _bytes(s.size), _bytes(s.own))
            for s in found.shares
        ],
    )
    if not session.quiet:
        words(
            f"{_bytes(found.size)} in {found.files} files: {_bytes(found.used)} used, "
            f"{_bytes(found.unused)} unused; {_bytes(found.partial)} unfinished"
        )


async def _referred(session: Session) -> frozenset[Digest]:
    from lockgate.app.local_store import referred

    async with session.store() as state:
        return await referred(state)


def _collected(found: "Garbage", *, dry_run: bool) -> dict[str, Json]:
    return {
        "dry_run": dry_run,
        "blobs": [f"sha256:{path.name}" for path in found.blobs],
        "attachments": [str(digest) for digest in found.attachments],
        "partials": [path.name for path in found.partials],
        "size": found.size,
    }


def _bytes(size: int) -> str:
    number, unit = float(size), 0
    while number >= _THOUSAND and unit < len(_UNITS) - 1:
        number, unit = number / _THOUSAND, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{size} B"
