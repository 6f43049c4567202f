import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockgate.errors import InvalidConfig, UpstreamFailed, UpstreamTimeout
from lockgate.upstream.address import pin
from lockgate.upstream.limits import Limits
from lockgate.upstream.request import Request
from lockgate.upstream.tls import TlsClient
from upstream.lying import Server, says

POST = Request(b"POST", b"/v1/chat/completions", b"{}", ((b"authorization", b"Bearer t"),))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
Script = Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for localhost that signed itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def with_client(
    certificate: Path,
    script: Script,
    work: Callable[[TlsClient, Server], Coroutine[Any, Any, Any]],
    *,
    trusted: bool = True,
    limits: Limits | None = None,
    host: str = "127.0.0.1",
) -> Any:
    async def main() -> Any:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        state = Server()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            state.connections += 1
            try:
                await script(state, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                state.hung_up.set()
            except asyncio.CancelledError:
                return
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        state.port = server.sockets[0].getsockname()[1]
        pinned = pin("far", f"https://{host}:{state.port}/v1")
        client = TlsClient(pinned, limits=limits, ca_file=certificate if trusted else None)
        try:
            return await asyncio.wait_for(work(client, state), 10)
        finally:
            await client.close()
            server.close()
            await asyncio.sleep(0.05)

    return asyncio.run(main())


def test_an_upstream_over_tls_answers_with_what_was_asked_and_nothing_added(
    certificate: Path,
) -> None:
    async def work(client: TlsClient, server: Server) -> None:
        for _ in range(2):
            reply = await client.fetch(POST)
            assert (reply.status, reply.body) == (200, b"hi")
        assert server.connections == 1
        head = server.requests[0].lower()
        assert b"authorization: bearer t" in head
        assert b"user-agent" not in head
        assert b"accept-encoding" not in head

    with_client(certificate, says(OK, OK), work)


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    async def work(client: TlsClient, server: Server) -> None:
        with pytest.raises(UpstreamFailed, match="failed") as caught:
            await client.fetch(POST)
        assert "SSL_CERT_FILE" in (caught.value.hint or "")
        assert server.requests == []

    with_client(certificate, says(OK), work, trusted=False)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_certificates_that_cannot_be_read_are_a_mistake_of_the_configuration(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    async def work() -> None:
        with pytest.raises(InvalidConfig, match=r"cannot be read from `.*ca\.pem`: "):
            TlsClient(pin("far", "https://127.0.0.1:1/v1"), ca_file=path)

    asyncio.run(work())


def test_a_redirect_is_an_answer_and_is_not_followed(certificate: Path) -> None:
    async def work(client: TlsClient, server: Server) -> None:
        reply = await client.fetch(POST)
        assert (reply.status, len(server.requests)) == (307, 1)

    moved = b"HTTP/1.1 307 X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with_client(certificate, says(moved), work)


def test_a_stream_over_tls_comes_in_parts_and_a_closed_one_closes_the_connection(
    certificate: Path,
) -> None:
    async def script(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        await s.request(r)
        w.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await w.drain()
        await r.read()
        s.hung_up.set()

    async def work(client: TlsClient, server: Server) -> None:
        stream = await client.open(POST)
        assert await stream.part() == b"a"
        stream.close()
        await asyncio.wait_for(server.hung_up.wait(), 2)

    with_client(certificate, script, work)


def test_an_upstream_over_tls_that_stalls_times_out(certificate: Path) -> None:
    async def silent(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        await s.request(r)
        await r.read()

    async def work(client: TlsClient, server: Server) -> None:
        with pytest.raises(UpstreamTimeout):
            await client.fetch(POST)

    with_client(certificate, silent, work, limits=Limits(connect_s=0.2, first_byte_s=0.1))


def test_an_answer_over_tls_that_breaks_off_or_is_too_long_is_none(certificate: Path) -> None:
    async def work(client: TlsClient, server: Server) -> None:
        with pytest.raises(UpstreamFailed):
            await client.fetch(POST)

    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi"
    with_client(certificate, says(cut, close=True), work)
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    with_client(certificate, says(long), work, limits=Limits(body_bytes=4))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nBearer t0ken here: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: t0ken\0\r\n\r\n",
        b"t0ken\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nt0ken\r\n",
    ],
)
def test_what_a_broken_answer_over_tls_quotes_is_not_quoted_again(
    certificate: Path, answer: bytes
) -> None:
    async def work(client: TlsClient, server: Server) -> None:
        with pytest.raises(UpstreamFailed) as caught:
            await client.fetch(POST)
        assert "t0ken" not in str(caught.value)
        assert "not valid HTTP" in str(caught.value)

    with_client(certificate, says(answer, close=True), work)


def test_a_request_that_would_frame_another_one_is_refused(certificate: Path) -> None:
    async def work(client: TlsClient, server: Server) -> None:
        with pytest.raises(ValueError, match="not a header"):
            await client.fetch(Request(b"GET", b"/", headers=((b"x", b"a\r\nb: c"),)))
        assert server.requests == []

    with_client(certificate, says(OK), work)
