"""One repository of a registry: its manifests, blobs and referrers."""

from lockgate.oci.blobs import Blobs
from lockgate.oci.registry.client import Registry
from lockgate.oci.registry.download import Downloads
from lockgate.oci.registry.journal import Journal
from lockgate.oci.registry.manifests import Manifests
from lockgate.oci.registry.referrers import Referrers
from lockgate.oci.registry.uploads import Uploads


class Repository:
    """What can be done in one repository."""

    def __init__(self, registry: Registry, name: str, layout: Blobs) -> None:
        self.registry = registry
        self.name = name
        self.manifests = Manifests(registry, name)
        self.referrers = Referrers(registry, name, self.manifests)
        journal = Journal(layout, f"{registry.host}/{name}")
        self.uploads = Uploads(registry, name, journal=journal)
        self.downloads = Downloads(registry, name, layout)

    @property
    def place(self) -> str:
        """The host and the name; in messages."""
        return f"{self.registry.host}/{self.name}"
