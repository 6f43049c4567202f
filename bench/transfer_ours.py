"""One transfer in a process of its own: `transfer_ours.py pack|push|tables|sha256 STORE FROM`."""

import sys
from collections.abc import Mapping
from pathlib import Path

from lockgate.domain.artifact import EMPTY_CONFIG, MANIFEST, Descriptor, Kind, Manifest
from lockgate.oci import chunks
from lockgate.oci.closure import pull_closure, push_closure
from lockgate.oci.index import BLAKE3
from lockgate.oci.ingest import ingest_file
from lockgate.oci.layout import Layout
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.repository import Repository
from lockgate.oci.registry.settings import RegistrySettings
from lockgate.oci.tree import Tree

NAME = "model"


class Silent:
    """Shows nothing."""

    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...


def named(tree: Tree) -> Mapping[str, Descriptor]:
    return {NAME: tree.root.descriptor}


def pack(layout: Layout, path: Path) -> None:
    """Make a model of a file, as `lockgate model pull PATH` does with a GGUF file."""
    found = ingest_file(layout, path)
    assert found.chunks is not None, "the file is too small for a chunk table"
    encoded = found.chunks.encode()
    table = Descriptor(media_type=chunks.MEDIA_TYPE, digest=layout.put(encoded), size=len(encoded))
    layer = Descriptor(
        media_type="application/vnd.cncf.model.weight.v1.raw",
        digest=found.digest,
        size=found.size,
        annotations={BLAKE3: found.blake3, chunks.ANNOTATION: str(table.digest)},
    )
    layout.put(b"{}")
    manifest = Manifest(
        artifact_type=Kind.MODEL.artifact_type, config=EMPTY_CONFIG, layers=(layer,)
    ).encode()
    at = Descriptor(media_type=MANIFEST, digest=layout.put(manifest), size=len(manifest))
    assert layout.name(NAME, at)
    layout.attach(
        Manifest(
            artifact_type=chunks.ARTIFACT_TYPE, config=EMPTY_CONFIG, layers=(table,), subject=at
        ).encode()
    )


def main() -> None:
    how, store, other = sys.argv[1:]
    layout = Layout(Path(store))
    if how == "pack":
        pack(layout, Path(other))
        return
    with Registry(other, RegistrySettings()) as registry:
        repository = Repository(registry, "bench/model", layout)
        if how == "push":
            root = layout.manifests()[NAME].digest
            push_closure(layout, repository, root, tag="1", progress=Silent())
        else:
            pull_closure(
                repository,
                layout,
                "1",
                names=named,
                trusted=lambda _tree, _source: how == "tables",
                progress=Silent(),
            )


if __name__ == "__main__":
    main()
