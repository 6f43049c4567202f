"""The models that the gateway serves by name: those inside the process, and those elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest
from lockgate.ports import Backend
from lockgate.upstream.reply import Client
from lockgate.upstream.request import Request

EMBEDDED_S: Final = 600.0
"""A model inside the process may take minutes on a small machine, and works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamModel:
    """A model of a server elsewhere."""

    name: str
    upstream: str
    """Name of the backend in the configuration."""
    served: str
    """What the upstream calls the model."""
    client: Client
    path: str
    """What every target begins with."""
    headers: tuple[tuple[bytes, bytes], ...]
    data_classes: frozenset[DataClass]
    release: bytes
    destination: str
    """Host and port, for the audit log."""
    most_s: float = EMBEDDED_S
    """Seconds that one call may last."""
    targets: dict[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def backend_name(self) -> str:
        """As with models inside the process."""
        return self.upstream

    def request(self, endpoint: str, body: bytes) -> Request:
        """Return the request for an endpoint such as `chat/completions`."""
        target = self.targets.get(endpoint)
        if target is None:
            target = self.targets[endpoint] = f"{self.path}/{endpoint}".encode("ascii")
        return Request(b"POST", target, body, self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedModel:
    """A model inside this process."""

    name: str
    backend_name: str
    backends: Mapping[str, Backend]
    """By name; each is imported and made when it is first asked for."""
    digest: Digest
    generates: bool
    """Writes text; otherwise it embeds."""
    release: bytes
    most_s: float = EMBEDDED_S
    """Seconds that one call may last."""

    @property
    def backend(self) -> Backend:
        """What runs the model."""
        return self.backends[self.backend_name]


ServedModel: TypeAlias = UpstreamModel | EmbeddedModel
ServedModels: TypeAlias = Mapping[str, ServedModel]
