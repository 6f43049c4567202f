"""Kills children at every step of an operation on a store. Run as a program.

A step is what Python announces to an audit hook: each file that is opened, renamed, linked, locked
or deleted. A child is killed (SIGKILL) before its n-th step, for each n until one gets through.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lockgate.oci.archive import import_
from lockgate.oci.garbage import collect
from lockgate.oci.ingest import ingest_file
from lockgate.oci.integrity import check
from lockgate.oci.layout import Layout
from oci.artifacts import attestation, model

_STEPS = ("open", "os.", "fcntl.", "sqlite3.")
_DAY = 86400.0


def ingest(layout: Layout, folder: Path) -> None:
    ingest_file(layout, folder / "file")
    ingest_file(layout, folder / "linked", link=True)


def take_in(layout: Layout, folder: Path) -> None:
    import_(layout, folder / "release.tar")


def attach(layout: Layout, folder: Path) -> None:
    subject = layout.manifests()["old"]
    layout.attach(attestation(layout, subject, b"about the old one"))


def rename(layout: Layout, folder: Path) -> None:
    assert layout.name("old", model(layout, b"what is new"))


def forget(layout: Layout, folder: Path) -> None:
    layout.prepare()
    layout.forget("old")


def clean(layout: Layout, folder: Path) -> None:
    collect(layout, older_than_s=_DAY, now=time.time() + 2 * _DAY)


OPERATIONS: Mapping[str, Callable[[Layout, Path], None]] = {
    made.__name__: made for made in (ingest, take_in, attach, rename, forget, clean)
}


def _die_before(step: int) -> None:
    left = step

    def hook(event: str, _: object) -> None:
        nonlocal left
        if event.startswith(_STEPS):
            left -= 1
            if left == -1:  # killing is a step too
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _state(layout: Layout) -> dict[str, object]:
    return {
        "names": {name: at.digest.hex for name, at in layout.manifests().items()},
        "damages": [f"{d.path.name} {d.found} {d.names}" for d in check(layout).damages],
        "blobs": sorted(path.name for path in layout.blobs()),
        "ingest": sorted(path.name for path in layout.ingest.iterdir()),
    }


def main(name: str, folder: Path) -> None:
    """Print a line for each kill, with the state before and after the work is done again."""
    operation, step = OPERATIONS[name], 0
    while True:
        root = folder / "work"
        shutil.copytree(folder / "store", root)
        layout = Layout(root)
        if (folder / "linked").exists():
            (folder / "linked").chmod(0o644)
        child = os.fork()
        if child == 0:
            _die_before(step)
            operation(layout, folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = _state(layout)
        operation(layout, folder)
        clean(layout, folder)
        done = os.waitstatus_to_exitcode(status) == 0
        print(json.dumps({"step": step, "done": done, "killed": killed, "again": _state(layout)}))  # noqa: T201
        shutil.rmtree(root)
        if done or os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            return
        step += 1


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
