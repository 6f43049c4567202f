"""`lockgate model …`."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from lockgate.cli.bom import model_bom
from lockgate.cli.model_quantising import quantise
from lockgate.cli.model_signing import sign
from lockgate.cli.output import data, data_json, table, words
from lockgate.cli.session import Session
from lockgate.domain.digest import Json
from lockgate.errors import Corrupt

if TYPE_CHECKING:
    from lockgate.app.registries import Registries
    from lockgate.oci.inventory import ModelInfo, PullResult, Verification

_ADDRESS = "oci://"
_MEGABYTE = 1_000_000

F = TypeVar("F", bound=Callable[..., object])


def _json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


@click.group(
    epilog="""\b
Examples:
  lockgate model pull smollm2 minilm
  lockgate model list
  lockgate model verify"""
)
def model() -> None:
    """Pull and look after local models."""


model.add_command(sign)
model.add_command(quantise)
model.add_command(model_bom)


@model.command(
    epilog="""\b
Examples:
  lockgate model pull smollm2 minilm
  lockgate model pull --if-missing smollm2
  lockgate model pull ./mine.gguf --name mine
  lockgate model pull oci://registry.example/acme/mine:1"""
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--if-missing", is_flag=True, help="Only look at sizes of what is here; hash nothing."
)
@click.option("--name", "own_name", metavar="N", help="Name for a file or a remote model.")
@click.option(
    "--link", is_flag=True, help="Share the file given by its path instead of copying it."
)
@_json
@click.pass_obj
def pull(
    session: Session,
    names: Sequence[str],
    *,
    if_missing: bool,
    own_name: str | None,
    link: bool,
    as_json: bool,
) -> None:
    """Fetch models by name or from a registry, or take a GGUF file of yours.

    What is here already is checked, and fetched again if it is damaged. A pull that was broken
    off goes on where it stopped. What ModelPack, KitOps, Docker Model Runner or Ollama packed is
    repacked; files that run code when they are loaded are refused. A file of yours is copied, or
    cloned where the file system can; with --link it becomes read-only and is the store's own.
    """
    if own_name is not None and len(names) != 1:
        raise click.UsageError("--name takes exactly one path or address")
    store, progress = session.models(), session.progress()
    results = []
    for name in names:
        if name.startswith(_ADDRESS):
            result = _registries(session).pull_model(name, own_name)
        elif own_name is not None:
            result = store.pull_file(Path(name), own_name, progress, link=link)
        elif _is_path(name):
            raise click.UsageError(
                f"a file needs a name: lockgate model pull {name} --name {Path(name).stem}"
            )
        else:
            result = store.pull(name, progress, if_missing=if_missing)
        results.append(result)
        if not session.quiet:
            done = "pulled" if result.fetched else "is here already"
            words(f"{result.name} {done} ({_megabytes(result.size)}, {result.digest})")
            if result.note:
                words(result.note)
    if as_json:
        data_json({"models": [_pulled(result) for result in results]})


@model.command(
    epilog="""\b
Examples:
  lockgate model push mine oci://registry.example/acme/mine:1
  lockgate model push mine oci://registry.example/acme/mine:1 --view ollama --view docker"""
)
@click.argument("name")
@click.argument("address", metavar="oci://HOST/REPOSITORY[:TAG]")
@click.option(
    "--view",
    "views",
    multiple=True,
    type=click.Choice(["docker", "ollama", "image"]),
    help="Also for another tool, under the tag TAG-VIEW; only `image` stores the files again.",
)
@_json
@click.pass_obj
def push(session: Session, name: str, address: str, *, views: Sequence[str], as_json: bool) -> None:
    """Bring a model that is here into a registry, with what is attached to it.

    Without a tag it becomes `latest`. What the registry has already is not sent again. The
    account is that of `skopeo login` or `docker login`.
    """
    from lockgate.oci.views.view import View

    moved = _registries(session).push_model(name, address, [View(view) for view in views])
    if as_json:
        data_json(
            {
                "name": name,
                "digest": str(moved.root),
                "blobs": moved.blobs,
                "sent": moved.sent,
                "size": moved.size,
            }
        )
    elif not session.quiet:
        sent = f"{moved.sent} of {moved.blobs} files sent"
        words(f"{name} pushed ({_megabytes(moved.size)}, {sent}, {moved.root})")


@model.command(
    "list",
    epilog="""\b
Examples:
  lockgate model list
  lockgate model list --json | jq -r '.models[] | select(.state == "missing") | .name'""",
)
@_json
@click.pass_obj
def list_(session: Session, *, as_json: bool) -> None:
    """List the models that can be pulled and those that are here."""
    found = session.models().list()
    if as_json:
        data_json({"models": [_described(info) for info in found]})
        return
    table(
        ("NAME", "STATE", "SIZE", "BACKEND", "QUANTISATION", "LICENCE", "SOURCE"),
        [
            (
                info.model.name,
                info.state.value,
                _megabytes(info.model.size),
                info.model.backend,
                info.model.quantisation or "-",
                info.model.licence or "-",
                f"{info.source} {info.origin}".rstrip(),
            )
            for info in found
        ],
    )


@model.command(
    epilog="""\b
Examples:
  lockgate model show smollm2
  lockgate model show minilm --json | jq -r .digest"""
)
@click.argument("name")
@_json
@click.pass_obj
def show(session: Session, name: str, *, as_json: bool) -> None:
    """Show one model: where it comes from, its files, whether it is here."""
    info = session.models().show(name)
    described = _described(info)
    if as_json:
        data_json(described)
        return
    for key, value in described.items():
        if key != "files" and value not in (None, ""):
            data(f"{key}: {value}")
    for file in info.model.files:
        data(f"{file.role}: {file.title}, {file.size} bytes, {file.digest}")
        if file.role in info.paths:
            data(f"  {info.paths[file.role]}")


@model.command(
    epilog="""\b
Examples:
  lockgate model verify
  lockgate model verify smollm2 --json"""
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_json
@click.pass_obj
def verify(session: Session, names: Sequence[str], *, as_json: bool) -> None:
    """Hash every byte of models that are here; all of them by default."""
    from lockgate.oci.inventory import State

    store = session.models()
    absent = {State.MISSING, State.OUTDATED}
    chosen = names or [info.model.name for info in store.list() if info.state not in absent]
    found = [store.verify(name) for name in chosen]
    if as_json:
        data_json({"models": [_verified(result) for result in found]})
    else:
        for result in found:
            data(f"{result.name}: {'damaged' if result.problems else 'ok'}")
            for problem in result.problems:
                data(f"  {problem}")
    damaged = [result.name for result in found if result.problems]
    if damaged:
        raise Corrupt(
            f"{len(damaged)} of {len(found)} models are damaged: {', '.join(damaged)}",
            hint=f"lockgate model pull {' '.join(damaged)}",
        )


@model.command(
    epilog="""\b
Examples:
  lockgate model rm smollm2"""
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_json
@click.pass_obj
def rm(session: Session, names: Sequence[str], *, as_json: bool) -> None:
    """Take models out of the local store. Files that another model uses stay."""
    store = session.models()
    freed = {name: store.remove(name) for name in names}
    if as_json:
        data_json({"models": [{"name": name, "freed": size} for name, size in freed.items()]})
    elif not session.quiet:
        for name, size in freed.items():
            words(f"{name} removed ({_megabytes(size)} freed)")


def _registries(session: Session) -> "Registries":
    from lockgate.app.registries import Registries

    return Registries(
        session.loaded, session.environment, session.progress(), now=datetime.now(UTC)
    )


def _is_path(name: str) -> bool:
    return os.sep in name or name.lower().endswith(".gguf")


def _megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB" if size >= _MEGABYTE // 10 else f"{size} B"


def _pulled(result: "PullResult") -> dict[str, Json]:
    return {
        "name": result.name,
        "digest": str(result.digest),
        "size": result.size,
        "fetched": result.fetched,
        **({"note": result.note} if result.note else {}),
    }


def _verified(result: "Verification") -> dict[str, Json]:
    return {
        "name": result.name,
        "digest": str(result.digest),
        "ok": not result.problems,
        "problems": result.problems,
    }


def _described(info: "ModelInfo") -> dict[str, Json]:
    known = info.model
    return {
        "name": known.name,
        "title": known.title,
        "state": info.state.value,
        "digest": str(info.digest),
        "size": known.size,
        "source": info.source,
        "origin": info.origin,
        "backend": known.backend,
        "format": known.format,
        "architecture": known.architecture,
        "parameters": known.parameters,
        "quantisation": known.quantisation,
        "context_tokens": known.context_tokens,
        "licence": known.licence,
        "files": [
            {
                "role": file.role,
                "name": file.title,
                "digest": str(file.digest),
                "size": file.size,
                "path": str(info.paths[file.role]) if file.role in info.paths else None,
            }
            for file in known.files
        ],
    }
