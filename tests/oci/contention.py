"""Packs, or collects garbage, in a store that other processes use. Run as a program."""

import sys
import time
from pathlib import Path

from lockgate.domain.artifact import EMPTY_BYTES, EMPTY_CONFIG, MANIFEST, Descriptor, Manifest
from lockgate.oci.garbage import collect
from lockgate.oci.ingest import ingest_file
from lockgate.oci.layout import Layout

_ROUNDS = 15


def pack(layout: Layout, folder: Path, number: str) -> None:
    """Name a model of a shared file and of one's own, look that it is whole, and forget it."""
    for turn in range(_ROUNDS):
        own = folder / f"own-{number}"
        own.write_bytes(b"%d of %s" % (turn, number.encode()))
        while not _named(layout, f"model-{number}", [folder / "shared", own]):
            pass
        for _, at in layout.roots():
            assert at.media_type == MANIFEST
        here = Manifest.parse(layout.read(layout.manifests()[f"model-{number}"].digest))
        shared, mine = here.layers
        assert layout.blob(mine.digest).read_bytes() == own.read_bytes()
        assert layout.blob(shared.digest).read_bytes() == (folder / "shared").read_bytes()
        layout.forget(f"model-{number}")


def _named(layout: Layout, name: str, paths: list[Path]) -> bool:
    found = [ingest_file(layout, path) for path in paths]
    layout.put(EMPTY_BYTES)
    manifest = Manifest(
        artifact_type="x",
        config=EMPTY_CONFIG,
        layers=tuple(Descriptor(media_type="x/y", digest=at.digest, size=at.size) for at in found),
        annotations={"name": name},
    ).encode()
    at = Descriptor(media_type=MANIFEST, digest=layout.put(manifest), size=len(manifest))
    return layout.name(name, at)


def clean(layout: Layout) -> None:
    """Delete everything that nothing leads to, however young, until the others are done."""
    quiet = 0
    while quiet < 20:
        found = collect(layout, older_than_s=0, now=time.time())
        idle = not found.blobs and not list(layout.manifests())
        quiet = quiet + 1 if idle else 0


if __name__ == "__main__":
    store = Layout(Path(sys.argv[2]) / "store")
    store.prepare()
    if sys.argv[1] == "pack":
        pack(store, Path(sys.argv[2]), sys.argv[3])
    else:
        clean(store)
