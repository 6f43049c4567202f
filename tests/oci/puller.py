"""A process that pulls one model: `python puller.py STORE NAME ENTRY LIMIT`.

ENTRY is the model's catalogue entry as JSON; LIMIT is the most bytes that a file may have, -1 for
no limit. It prints `ready`, then a line for each progress, then what became of the pull.
"""

import json
import resource
import sys
from pathlib import Path

from lockgate.errors import LockgateError
from lockgate.oci.catalogue import load_catalogue
from lockgate.oci.models import ModelStore
from lockgate.oci.settings import ModelSettings


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


def main() -> None:
    store, name, entry, limit = sys.argv[1:]
    table = json.loads(entry)
    settings = ModelSettings(package_root=Path("/"), hf_endpoint=table.pop("endpoint"))
    models = ModelStore(Path(store), load_catalogue({name: table}), settings)
    if limit != "-1":
        sys.dont_write_bytecode = True  # it would keep what could be written of a module
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    say("ready")
    try:
        result = models.pull(name, Lines())
    except LockgateError as error:
        say(f"{error.code}: {error.message}")
        raise SystemExit(1) from error
    say(f"fetched {result.fetched}")


if __name__ == "__main__":
    main()
