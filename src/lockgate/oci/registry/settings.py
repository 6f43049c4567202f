"""What talking to registries needs to know of this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lockgate.oci.reference import is_loopback

DEFAULT_CONNECTIONS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """Places and limits; the caller read them from the configuration and the environment."""

    insecure: frozenset[str] = frozenset()
    """Hosts, with their ports, that are spoken to without TLS. Loopback always is."""
    auth_files: tuple[Path, ...] = ()
    """Credentials as `skopeo login` and `docker login` write them; the first file that knows a
    host counts."""
    helper_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of the credential helpers; `PATH` says where they are."""
    ca_file: Path | None = None
    """Certificates to trust instead of the default ones."""
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Addresses by scheme; `no` lists the hosts that need none."""
    connections: int = DEFAULT_CONNECTIONS
    """Parallel requests for one blob."""

    def scheme(self, host: str) -> str:
        """Return how a registry is spoken to."""
        return "http" if is_loopback(host) or host in self.insecure else "https"
