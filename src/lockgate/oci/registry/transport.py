"""One HTTP attempt: no redirects, no retries, errors in our words."""

from collections.abc import Iterable, Mapping
from typing import Final, Self
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, SSLError

from lockgate.errors import Unavailable, UsageError
from lockgate.oci.registry.answers import Answer, Interrupted
from lockgate.oci.registry.settings import RegistrySettings

BLOCK: Final = 1 << 20
_SMALL: Final = 4 << 20  # distribution-spec: registries need not take manifests over 4 MiB
_CONNECT_SECONDS: Final = 15.0
_READ_SECONDS: Final = 60.0
_SPARE: Final = 2
_UNSAFE: Final = frozenset("\r\n\0")


Body = Iterable[bytes]
"""Blocks to send, read as they go. The request has a Content-Length."""


class Transport:
    """Connections to several hosts. Safe for several threads; closed by its owner."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings
        self._direct = self._pool(None)
        self._proxied: dict[str, urllib3.PoolManager] = {}

    def close(self) -> None:
        """Close every connection."""
        for pool in (self._direct, *self._proxied.values()):
            pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def open(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | bytes | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; the caller reads and releases the answer.

        Raises:
            Interrupted: the connection failed.
            Unavailable: the server's certificate is not trusted.
            UsageError: the address is not one.

        """
        if not _UNSAFE.isdisjoint("".join(headers.values())):
            raise UsageError(f"a header for `{place(url)}` has a line break")
        try:
            return self._for(url).request(
                method,
                url,
                body=body,
                headers={"Accept-Encoding": "identity", "User-Agent": "lockgate", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except SSLError as error:
            raise Unavailable(
                f"`{place(url)}` could not prove who it is: {_first_line(error)}",
                hint="name its certificate authority with `SSL_CERT_FILE`",
            ) from error
        except LocationParseError as error:
            raise UsageError(f"`{place(url)}` is not an address") from error
        except HTTPError as error:
            raise Interrupted(_first_line(error)) from error

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | bytes | None = None
    ) -> Answer:
        """Send a request and read its small answer. Raises as `open`."""
        return read_answer(self.open(method, url, headers, body), url)

    def _for(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxies = self._settings.proxies
        proxy = proxies.get(parts.scheme) or proxies.get("all")
        if not proxy or _goes_direct(parts.hostname or "", proxies.get("no", "")):
            return self._direct
        if proxy not in self._proxied:
            self._proxied[proxy] = self._pool(proxy)
        return self._proxied[proxy]

    def _pool(self, proxy: str | None) -> urllib3.PoolManager:
        ca_file = self._settings.ca_file
        certificates = str(ca_file) if ca_file else None
        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
        size = self._settings.connections + _SPARE
        if proxy is None:
            return urllib3.PoolManager(
                maxsize=size, timeout=timeout, ca_certs=certificates, blocksize=BLOCK
            )
        parts = urlsplit(proxy)
        login = parts.netloc.rpartition("@")[0]
        return urllib3.ProxyManager(
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            proxy_headers=urllib3.make_headers(proxy_basic_auth=login) if login else None,
            maxsize=size,
            timeout=timeout,
            ca_certs=certificates,
            blocksize=BLOCK,
        )


def read_answer(response: urllib3.BaseHTTPResponse, url: str) -> Answer:
    """Read a small answer to its end, and give the connection back.

    Raises:
        Interrupted: the connection failed, or the answer ended early.
        UsageError: the answer is not small.

    """
    try:
        data = response.read(_SMALL + 1, decode_content=False)
        whole = len(data) <= _SMALL
        if whole:
            response.drain_conn()
    except HTTPError as error:
        raise Interrupted(_first_line(error)) from error
    finally:
        response.release_conn()
    if not whole:
        response.close()
        raise UsageError(
            f"`{place(url)}` answered with more than {_SMALL:,} bytes, at most that many allowed",
            hint="see whether the address is that of a registry",
        )
    return Answer(
        status=response.status,
        headers={key.lower(): value for key, value in response.headers.items()},
        data=data,
        place=place(url),
    )


def place(url: str) -> str:
    """Return an address without credentials and without its query, which may be a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:300]


def _goes_direct(host: str, exceptions: str) -> bool:
    """Read `no_proxy` as curl does: names with all below them, or `*`."""
    names = [name.strip().lstrip(".").lower() for name in exceptions.split(",")]
    return "*" in names or any(
        name and (host == name or host.endswith(f".{name}")) for name in names
    )


def interrupted(error: HTTPError) -> Interrupted:
    """Return what a failed connection means."""
    return Interrupted(_first_line(error))


def _first_line(error: Exception) -> str:
    match error.args:
        case (str() as what, Exception() as cause):  # urllib3's ProtocolError
            return f"{what.rstrip('.').lower()}: {str(cause) or type(cause).__name__}"[:200]
        case _:
            text = str(error).partition("\n")[0] or type(error).__name__
    # urllib3 puts the connection's repr, or the address with its query, before or after the words.
    return text.partition(": ")[2][:200] if text.startswith(("HTTP", "<")) else text[:200]
