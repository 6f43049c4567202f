"""Models in registries."""

from collections.abc import Callable, Mapping
from typing import Final

from lockgate.domain.artifact import Descriptor, Kind
from lockgate.domain.digest import Digest
from lockgate.errors import UsageError
from lockgate.oci.closure import Names
from lockgate.oci.manifest import unpack
from lockgate.oci.registry.repository import Repository
from lockgate.oci.tree import Tree

_MODEL: Final = frozenset({Kind.MODEL.artifact_type, Kind.MODEL.config_type})


def model_named(source: Repository, name: str, accept: Callable[[str, Digest], None]) -> Names:
    """Return what lets `pull_closure` take models only, and only those that can be read.

    `accept` refuses a name that stands for something else. All of it happens before anything
    large is fetched.
    """

    def names(tree: Tree) -> Mapping[str, Descriptor]:
        manifest = tree.root.manifest
        if _MODEL.isdisjoint({manifest.artifact_type, manifest.config.media_type}):
            kind = manifest.artifact_type or manifest.config.media_type
            raise UsageError(
                f"`{source.place}@{tree.root.digest}` is a `{kind[:120]}`, not a model",
                hint="a release is fetched with `lockgate release pull`",
            )
        unpack(tree.root.data, source.downloads.read(manifest.config))
        accept(name, tree.root.digest)
        return {name: tree.root.descriptor}

    return names
