"""Repositories of registries, from addresses and the configuration."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lockgate.app.models import layout_of
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.artifact import Descriptor, Kind
from lockgate.errors import Denied

if TYPE_CHECKING:
    from lockgate.oci.reference import Reference
    from lockgate.oci.registry.repository import Repository
    from lockgate.oci.tree import Tree


@contextmanager
def repository(
    reference: "Reference", loaded: Loaded, environment: Environment
) -> "Iterator[Repository]":
    """Open the repository that an address names, and close its connections at the end."""
    from lockgate.oci.registry.client import Registry
    from lockgate.oci.registry.repository import Repository
    from lockgate.oci.registry.settings import RegistrySettings

    chosen = loaded.config.registries
    settings = RegistrySettings(
        insecure=frozenset(chosen.insecure),
        docker_config=environment.docker_config,
        helper_environment=dict(environment.variables),
        ca_file=environment.ca_file,
        proxies=environment.proxies,
        connections=chosen.connections,
    )
    with Registry(reference.host, settings) as registry:
        yield Repository(registry, reference.repository, layout_of(environment))


def release_names(tree: "Tree") -> Mapping[str, Descriptor]:
    """Return under which name a pulled tree becomes visible.

    Raises:
        Denied: it is not a release.

    """
    kind = tree.root.manifest.artifact_type
    if tree.release is None:
        raise Denied(
            f"{tree.root.digest} is not a release: its type is `{kind or 'none'}`, "
            f"expected `{Kind.RELEASE.artifact_type}`",
            hint="models are pulled with `lockgate model pull oci://…`",
        )
    return {f"release/{tree.release.task}/{tree.root.digest.hex}": tree.root.descriptor}
