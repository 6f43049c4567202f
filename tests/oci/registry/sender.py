"""A process that uploads: `sender.py STORE HOST REPOSITORY DIGEST PIECE STOP`.

It prints a line for each progress, and after STOP of them waits for its end.
"""

import sys
from pathlib import Path

from lockgate.domain.digest import Digest
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.journal import Journal
from lockgate.oci.registry.settings import RegistrySettings
from lockgate.oci.registry.uploads import Uploads


def main() -> None:
    store, host, name, text, piece, stop = sys.argv[1:]
    layout, digest = Layout(Path(store)), Digest.parse(text)
    seen = 0

    def advance(count: int) -> None:
        nonlocal seen
        seen += 1
        sys.stdout.write(f"{count}\n")
        sys.stdout.flush()
        if seen == int(stop):
            sys.stdin.read()

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with Registry(host, RegistrySettings()) as registry:
        uploads = Uploads(
            registry, name, piece=int(piece), journal=Journal(layout, f"{host}/{name}")
        )
        uploads.push(digest, layout.blob(digest), advance)


if __name__ == "__main__":
    main()
