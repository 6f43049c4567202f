"""Where an upstream is: an address that is resolved once, judged and pinned.

A name that resolves to a private, link-local or metadata address is refused unless the
configuration names that network: otherwise whoever holds a public name's DNS chooses which of our
internal services is asked (server-side request forgery through DNS rebinding).
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias
from urllib.parse import urlsplit

from lockgate.errors import Denied, InvalidConfig, UpstreamFailed

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]

_PORTS = {"http": 80, "https": 443}
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_BITS = 0xFFFFFFFF
# What `ipaddress` calls global differs between versions of Python, and none knows where clouds
# keep credentials. IANA gives addresses to hosts in 2000::/3 alone (RFC 4291 section 2.4).
_UNICAST = IPv6Network("2000::/3")
_SPECIAL: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # RFC 6890
    IPv4Network("192.88.99.0/24"),  # RFC 7526
    IPv6Network("3fff::/20"),  # RFC 9637
)
_METADATA: tuple[Network, ...] = (
    IPv4Network("100.100.100.200/32"),  # Alibaba Cloud
    IPv4Network("168.63.129.16/32"),  # Azure
    IPv4Network("192.0.0.192/32"),  # Oracle Cloud
    IPv6Network("fd00:ec2::/32"),  # AWS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """One upstream's address for as long as this configuration holds."""

    name: str
    scheme: str
    host: str
    port: int
    path: str
    """What every target begins with, without a final slash."""
    addresses: tuple[str, ...]

    @property
    def host_header(self) -> bytes:
        """The host as the request names it (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{host}{port}".encode("ascii")


def pin(
    name: str, url: str, *, networks: Sequence[str] = (), resolve: Resolve | None = None
) -> Pinned:
    """Resolve an upstream's URL and judge every address that it has.

    `networks` are those beside the public ones that it may be in. An address that is written in
    the URL itself, and `localhost`, need no such leave unless they are link-local or another
    place where cloud providers keep credentials.

    Raises:
        InvalidConfig: the URL is not one of an upstream.
        Denied: an address is in a network that was not named.
        UpstreamFailed: the name does not resolve.

    """
    try:
        split = urlsplit(url)
        host, asked = split.hostname, split.port
    except ValueError:
        split, host, asked = urlsplit(""), None, None
    if split.scheme not in _PORTS or not host or split.username or split.query or split.fragment:
        raise InvalidConfig(
            f"the `url` of the upstream `{name}` is `{url[:200]}`",
            hint="write it as http://HOST:PORT/v1 or https://HOST/v1",
        )
    port = asked or _PORTS[split.scheme]
    named = tuple(ip_network(network) for network in networks)
    written = _written(host)
    if written is not None:
        found: Sequence[str] = (str(written),)
    else:
        found = (resolve or _resolve)(host, port)
    for text in found:
        _judge(name, ip_address(text), named, written=written is not None or _is_here(host, text))
    if not found:
        raise UpstreamFailed(f"the host `{host}` of the upstream `{name}` has no address")
    return Pinned(
        name=name,
        scheme=split.scheme,
        host=host,
        port=port,
        path=split.path.rstrip("/"),
        addresses=tuple(found),
    )


def _is_here(host: str, text: str) -> bool:
    return host == "localhost" and ip_address(text).is_loopback


def _written(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UpstreamFailed(
            f"the host `{host}` does not resolve: {error.strerror or error}",
            hint="check the `url` of the upstream",
        ) from error
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def _judge(name: str, address: Address, named: Sequence[Network], *, written: bool) -> None:
    inner = _embedded(address)
    if any(address in network for network in named):
        return
    private = not inner.is_global and not inner.is_link_local and not inner.is_multicast
    usable = inner.is_loopback or (private and not inner.is_unspecified and not inner.is_reserved)
    keeps_credentials = any(inner in network for network in _METADATA)
    if not keeps_credentials and (_is_public(inner) or (written and usable)):
        return
    raise Denied(
        f"the upstream `{name}` is at `{address}`, which is not a public address",
        hint=f"if it should be, add its network to `backends.{name}.networks`",
    )


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return not any(address in network for network in _SPECIAL)


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & _BITS)
    return address
