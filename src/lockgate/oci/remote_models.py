"""Models in registries."""

from collections.abc import Callable, Mapping
from typing import Final

from lockgate.domain.artifact import Descriptor, Kind
from lockgate.domain.digest import Digest
from lockgate.errors import UsageError
from lockgate.oci.closure import Names
from lockgate.oci.manifest import base_role, unpack
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
        stored = unpack(tree.root.data, source.downloads.read(manifest.config))
        if not any(base_role(file.role) == "weights" for file in stored.files):
            raise UsageError(
                f"`{source.place}@{tree.root.digest}` has no weights: it is a view of something "
                "else for other tools",
                hint="name the tag of a model",
            )
        accept(name, tree.root.digest)
        return {name: tree.root.descriptor}

    return names
