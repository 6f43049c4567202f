"""The careful client, for HTTPS: aiohttp, held to the pinned address."""

import asyncio
import ssl
from pathlib import Path
from socket import AF_INET, AF_INET6, AddressFamily
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from lockgate.errors import InvalidConfig, LockgateError, UpstreamFailed, UpstreamTimeout
from lockgate.upstream.address import Pinned
from lockgate.upstream.limits import Limits
from lockgate.upstream.reply import Reply
from lockgate.upstream.request import Headers, Request, preamble


class _PinnedResolver(AbstractResolver):
    """Knows one host, and asks nobody."""

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_INET
    ) -> list[ResolveResult]:
        if host != self._pinned.host:
            raise OSError(f"`{host}` is not the upstream")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=AF_INET6 if ":" in address else AF_INET,
                proto=0,
                flags=0,
            )
            for address in self._pinned.addresses
        ]

    async def close(self) -> None: ...


class TlsClient:
    """Implements `reply.Client`. Redirects are answers; proxies and cookies are not used."""

    def __init__(
        self, pinned: Pinned, *, limits: Limits | None = None, ca_file: Path | None = None
    ) -> None:
        """Raise InvalidConfig if `ca_file` holds no certificates."""
        self._pinned = pinned
        self._limits = limits or Limits()
        context = _context(ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_PinnedResolver(pinned),
                limit=self._limits.connections,
                ssl=context,
                keepalive_timeout=self._limits.keep_alive_s,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                total=self._limits.total_s,
                connect=self._limits.connect_s,
                sock_read=None,
            ),
            max_line_size=self._limits.head_bytes,
            max_field_size=self._limits.head_bytes,
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept"),
        )
        host = f"[{pinned.host}]" if ":" in pinned.host else pinned.host
        self._origin = f"{pinned.scheme}://{host}:{pinned.port}"

    async def fetch(self, request: Request) -> Reply:
        """See `Client.fetch`."""
        stream = await self.open(request)
        try:
            parts = []
            while data := await stream.part():
                parts.append(data)
        finally:
            stream.close()
        return Reply(stream.status, stream.headers, b"".join(parts))

    async def open(self, request: Request) -> "TlsStream":
        """See `Client.open`."""
        preamble(self._pinned.host_header, request)  # refuses what could frame another message
        limits = self._limits
        headers = [(n.decode("ascii"), v.decode("latin-1")) for n, v in request.headers]
        try:
            async with asyncio.timeout(limits.connect_s + limits.first_byte_s):
                response = await self._session.request(
                    request.method.decode("ascii"),
                    f"{self._origin}{request.target.decode('ascii')}",
                    data=request.body or None,
                    headers=headers,
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._failed(error) from error
        return TlsStream(self, response, limits)

    async def close(self) -> None:
        await self._session.close()

    def _failed(self, error: BaseException) -> LockgateError:
        name = self._pinned.name
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return UpstreamTimeout(
                f"the upstream `{name}` took no connection in {self._limits.connect_s:g} s",
                hint="check that it runs, or raise its `connections`",
                why="connect",
            )
        if isinstance(error, TimeoutError):
            return UpstreamTimeout(f"the upstream `{name}` was slower than its limits allow")
        reason = str(error) or type(error).__name__
        if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
            # Those quote what the upstream sent, which may quote our key: it goes to a log.
            reason = "its answer is not valid HTTP"
        return UpstreamFailed(
            f"the upstream `{name}` failed: {reason[:200]}",
            hint=_hint(error),
            why="connect" if isinstance(error, aiohttp.ClientConnectorError) else "truncated",
        )


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as error:  # what is no certificate is one of these, too
        raise InvalidConfig(
            f"the certificates to trust cannot be read from `{ca_file}`: {error.strerror or error}",
            hint="SSL_CERT_FILE, PIP_CERT or REQUESTS_CA_BUNDLE names them, in PEM",
        ) from error


def _hint(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "`SSL_CERT_FILE` names the certificates to trust, and `url` the host that it is for"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "check that it speaks TLS there: its `url` may have to begin with `http://`"
    return "check that it runs and that its `url` is right"


class TlsStream:
    """Implements `reply.Stream`."""

    def __init__(self, client: TlsClient, response: aiohttp.ClientResponse, limits: Limits) -> None:
        self._client = client
        self._response = response
        self._limits = limits
        self._size = 0

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Headers:
        return [(name.lower(), value) for name, value in self._response.raw_headers]

    async def part(self) -> bytes:
        content: Any = self._response.content
        try:
            async with asyncio.timeout(self._limits.idle_s):
                data: bytes = await content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.close()
            raise self._client._failed(error) from error  # noqa: SLF001  its other half
        except asyncio.CancelledError:
            self.close()
            raise
        self._size += len(data)
        if self._size > self._limits.body_bytes:
            self.close()
            raise UpstreamFailed(
                f"the answer of the upstream is longer than {self._limits.body_bytes} bytes"
            )
        return data

    def close(self) -> None:
        # Whole, the connection went back to the pool by itself; otherwise this closes it.
        self._response.close()
