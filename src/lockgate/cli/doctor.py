"""`lockgate doctor`: what is missing, and how to get it."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from lockgate.cli.output import data, data_json
from lockgate.cli.session import Session
from lockgate.errors import LockgateError

EXIT_PROBLEM = 1
LEAST_FREE_BYTES = 1 << 30
_RUNTIMES = ("xllamacpp", "onnxruntime", "tokenizers", "jsonschema_rs", "re2")


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    status: str
    """`ok`, `note` (works, with less) or `problem`."""
    detail: str
    hint: str = ""


@click.command(epilog="\b\nExamples:\n  lockgate doctor\n  lockgate doctor --json")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def doctor(session: Session, *, as_json: bool) -> int:
    """Look at this machine, and say what is missing and how to get it.

    Exit status: 0 if everything that is needed is there, 1 if not.
    """
    findings = list(_findings(session))
    if as_json:
        data_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            data(f"{finding.status:<8} {finding.name:<14} {finding.detail}")
            if finding.hint:
                data(f"{'':<23} {finding.hint}")
    return EXIT_PROBLEM if any(f.status == "problem" for f in findings) else 0


def _findings(session: Session) -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")
    yield _git()
    for name in _RUNTIMES:
        yield _runtime(name)
    yield _config(session)
    yield _folder("models", session.environment.data_dir)
    yield _folder("state", session.environment.state_dir)
    yield from _models(session)
    yield _store(session)


def _git() -> Finding:
    found = shutil.which("git")
    if found is None:
        return Finding("git", "problem", "not found", "install it: apt-get install git")
    return Finding("git", "ok", found)


def _runtime(name: str) -> Finding:
    if find_spec(name) is None:
        return Finding(name, "problem", "not installed", "install Lockgate again")
    try:
        return Finding(name, "ok", version(name.replace("_", "-")))
    except PackageNotFoundError:  # the distribution has another name than the module
        return Finding(name, "ok", "installed")


def _config(session: Session) -> Finding:
    try:
        path = session.loaded.path
    except LockgateError as error:
        return Finding("configuration", "problem", error.message, error.hint or "")
    return Finding("configuration", "ok", str(path) if path else "none, so the defaults")


def _folder(name: str, path: Path) -> Finding:
    """Look at the nearest folder that exists: a missing one is made at the first use."""
    there = next(p for p in (path, *path.parents) if p.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        variable = "LOCKGATE_DATA_DIR" if name == "models" else "LOCKGATE_STATE_DIR"
        return Finding(
            name, "problem", f"{path} cannot be written", f"choose another place with {variable}"
        )
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        return Finding(name, "note", f"{path}, {free >> 20} MiB free", "free some space")
    return Finding(name, "ok", f"{path}, {free >> 30} GiB free")


def _models(session: Session) -> Iterator[Finding]:
    try:
        store = session.models()
        for model in store.list():
            try:
                store.files(model.model.name)
            except LockgateError as error:
                yield Finding(model.model.name, "note", error.message, error.hint or "")
            else:
                yield Finding(model.model.name, "ok", "pulled")
    except LockgateError as error:
        yield Finding("models", "problem", error.message, error.hint or "")


def _store(session: Session) -> Finding:
    async def look() -> int:
        async with session.store() as store, store.begin() as unit:
            return (await unit.head()).seq

    try:
        count = session.run(look)
    except LockgateError as error:
        return Finding("audit log", "problem", error.message, error.hint or "")
    return Finding("audit log", "ok", f"{count} event(s)")
