"""A process that pulls: `fetcher.py STORE HOST REPOSITORY LABEL LIMIT`.

LIMIT is the most bytes that a file may have, -1 for no limit. It prints `ready`, a line for each
progress, then what became of the pull.
"""

import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from lockgate.domain.artifact import Descriptor
from lockgate.errors import LockgateError
from lockgate.oci.closure import pull_closure
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings
from lockgate.oci.tree import Tree


class Lines:
    """Prints progress."""

    def start(self, label: str, total: int) -> None:
        say("start")

    def advance(self, steps: int = 1) -> None:
        say(f"advance {steps}")

    def finish(self) -> None:
        say("finish")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def named(tree: Tree) -> Mapping[str, Descriptor]:
    return {"pulled": tree.root.descriptor}


def main() -> None:
    store, host, name, label, limit = sys.argv[1:]
    if limit != "-1":
        sys.dont_write_bytecode = True  # it would keep what could be written of a module
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    layout = Layout(Path(store))
    say("ready")
    try:
        with Registry(host, RegistrySettings(connections=1)) as registry:
            repository = Repository(registry, name, layout)
            pull_closure(repository, layout, label, names=named, progress=Lines())
    except LockgateError as error:
        say(f"{error.code}: {error.message}")
        raise SystemExit(1) from error
    say("pulled")


if __name__ == "__main__":
    main()
