"""Keeps what a registry names (a token service, a redirect) out of networks that it is not in.

Without this, a registry somewhere could let this machine send requests to services that only this
machine, or its network, can reach (CWE-918, server-side request forgery).
"""

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from lockgate.errors import Denied, Unavailable
from lockgate.oci.reference import is_host, is_loopback, split_host
from lockgate.oci.registry.settings import RegistrySettings

Resolve = Callable[[str], Sequence[str]]
"""Returns the addresses of a host; none if it has none."""

_PUBLIC: Final = "public"


def resolve(host: str) -> Sequence[str]:
    """Ask the system's resolver."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return sorted({str(entry[4][0]) for entry in found})


class Guard:
    """Judges addresses that the registry at `host` names."""

    def __init__(
        self, host: str, settings: RegistrySettings, *, resolver: Resolve = resolve
    ) -> None:
        self._host = host
        self._settings = settings
        self._resolver = resolver

    def require(self, url: str, what: str) -> SplitResult:
        """Return the parts of `url` if it may be asked. `what` names it: `token service`.

        The name is resolved again when the connection is made. Somebody who answers differently
        then meets TLS, since plain HTTP is only for hosts that the settings or loopback allow.

        Raises:
            Denied: it is in a network that the registry is not in, or without TLS.
            Unavailable: its host is not known.

        """
        parts = urlsplit(url)
        host = parts.netloc
        if parts.scheme not in {"http", "https"} or not is_host(host):
            shown = f"{parts.scheme}://{host.rpartition('@')[2]}{parts.path}"[:120]
            raise Denied(
                f"the registry `{self._host}` names `{shown}` as its {what}, which is not an "
                "http(s) address without credentials",
                hint="tell whoever runs the registry; nothing was sent there",
            )
        if host.lower() == self._host and parts.scheme == self._settings.scheme(self._host):
            return parts
        if parts.scheme == "http" and self._settings.scheme(host.lower()) != "http":
            raise Denied(
                f"the registry `{self._host}` names the {what} `{host}` without TLS",
                hint=f"if that is meant, list `{host}` under `registries.insecure`",
            )
        strange = self._networks(host) - self._networks(self._host) - {_PUBLIC}
        if strange:
            raise Denied(
                f"the registry `{self._host}` names the {what} `{host}`, which is in a "
                f"{min(strange)} network where the registry is not",
                hint="tell whoever runs the registry; nothing was sent there",
            )
        return parts

    def _networks(self, host: str) -> frozenset[str]:
        name = split_host(host)[0].strip("[]")
        if is_loopback(host):
            return frozenset({"loopback"})
        addresses = self._resolver(name)
        if not addresses and not self._settings.proxies:
            raise Unavailable(
                f"the host `{name}` is not known",
                hint="check the name, and this machine's resolver",
            )
        return frozenset(map(_network, addresses))


def _network(address: str) -> str:
    found = ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    found = mapped or found
    if found.is_loopback or found.is_unspecified:
        return "loopback"
    if found.is_link_local:
        return "link-local"
    return _PUBLIC if found.is_global else "private"
