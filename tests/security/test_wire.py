"""What a hostile client can do with bytes: framing, slowness, size, and what it leaves unread."""

import asyncio
import gzip
import json
import random
import socket
import time
import zlib
from collections.abc import Generator

import pytest

from lockgate.config.gateway_settings import ServerSettings
from lockgate.server.protocol import EdgeLimits
from security import framing
from security.talking import CHAT, HEAD, post, status, to
from server.serving import Served, serving
from upstream.mock_model import MockModel, mock_model

QUICK = EdgeLimits(head_s=0.2, body_s=0.3, keep_alive_s=0.3, write_s=0.3)
LONG_S = 8.0
EVIL = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def open_all_along() -> Generator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def plain(open_all_along: Served) -> Served:
    open_all_along.engine.calls.clear()
    return open_all_along


def answers(data: bytes) -> int:
    return data.count(b"HTTP/1.1 ") - data.count(b"HTTP/1.1 100 ")


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
        b"Content-Length: 0, 44\r\n\r\n",
        b"Content-Length: +0\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 0x0\r\n\r\n",
        b"Content-Length: 1e1\r\n\r\n",
        b"Content-Length:\r\n\r\n",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"Content-Length : 0\r\n\r\n",
        b"Content_Length: 0\r\nContent-Length: 0\r\n 44\r\n\r\n",
        b"Transfer-Encoding: identity\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip\r\n\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
        b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n",
        b"X: a\rTransfer-Encoding: chunked\r\n\r\n",
        b"X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_request_whose_end_is_in_doubt_is_refused_with_what_follows_it(
    plain: Served, framing: bytes
) -> None:
    answer = plain.raw(b"POST /review HTTP/1.1\r\nHost: localhost\r\n" + framing + EVIL)
    assert status(answer) == 400
    assert answers(answer) == 1
    assert plain.engine.calls == []


def test_a_request_that_is_read_ends_where_another_parser_says_it_ends() -> None:
    """Two readers that differ are what smuggling lives on, whoever of them is right."""

    async def both() -> tuple[int, int]:
        chance, edge = random.Random(5), framing.ByTheEdge()  # noqa: S311  repeatable
        same = refused = 0
        for _ in range(3_000):
            data = framing.make(chance)
            found = await edge.read(data)
            assert found in ([], [framing.by_h11(data)]), data
            same += len(found)
            refused += not found
        return same, refused

    same, refused = asyncio.run(both())
    assert same > 200
    assert refused > 200


@pytest.mark.parametrize(
    "chunks",
    [
        b"g\r\nx\r\n0\r\n\r\n",
        b"-1\r\nx\r\n0\r\n\r\n",
        b"0x1\r\nx\r\n0\r\n\r\n",
        b"1 \r\nx\r\n0\r\n\r\n",
        b" 1\r\nx\r\n0\r\n\r\n",
        b"1\nx\n0\n\n",
        b"1\r\nxx\r\n0\r\n\r\n",
        b"1\r\nx0\r\n\r\n",
        b"ffffffffffffffffff\r\nx\r\n0\r\n\r\n",
        b"10000000000000001\r\nx\r\n0\r\n\r\n",
        b"1;a=\n\r\nx\r\n0\r\n\r\n",
        b"\r\n1\r\nx\r\n0\r\n\r\n",
    ],
)
def test_a_chunk_of_a_size_in_doubt_ends_the_connection_and_makes_no_call(
    plain: Served, chunks: bytes
) -> None:
    answer = plain.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + EVIL)
    assert answers(answer) <= 1
    assert answer == b"" or status(answer) == 400
    assert plain.engine.calls == []


def test_what_follows_a_request_is_never_answered_as_another_ones(plain: Served) -> None:
    body = b"x" * 5 + EVIL
    for head in (b"GET /healthz/live", b"POST /nowhere", b"DELETE /healthz/live"):
        sent = head + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        answer = plain.raw(sent + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert answers(answer) == 1


def test_an_old_client_gets_one_answer_and_no_chunks_and_may_send_none(plain: Served) -> None:
    live = b"GET /healthz/live HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    answer = plain.raw(live + live)
    assert (status(answer), answers(answer)) == (200, 1)
    assert b"chunked" not in answer
    chunked = (
        b"POST /review HTTP/1.0\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    )
    assert status(plain.raw(chunked)) == 400
    assert plain.engine.calls == []
    # Without keys the host is what keeps web pages away: it has to be said.
    assert status(plain.raw(b"GET /v1/models HTTP/1.0\r\n\r\n")) == 403


def test_a_stream_to_an_old_client_has_no_chunks() -> None:
    with mock_model() as mock, serving(to(mock)) as served:
        body = json.dumps({**CHAT, "stream": True}).encode()
        head = b"POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\n"
        answer = served.raw(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        top, _, rest = answer.partition(b"\r\n\r\n")
        assert b"chunked" not in top
        assert rest.startswith(b"data: ")
        assert rest.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"GZIP, identity"])
def test_a_compressed_body_is_refused_and_never_unpacked(plain: Served, coding: bytes) -> None:
    bomb = gzip.compress(b"0" * (64 << 20), 9) if coding == b"gzip" else zlib.compress(b"diff")
    began = time.process_time()
    for path in (b"/review", b"/v1/chat/completions", b"/v1/tasks/review", b"/admin/keys"):
        bomb = bomb if path != b"/admin/keys" else b"{}"
        answer = plain.raw(post(path, bomb, b"Content-Encoding: " + coding, b"Connection: close"))
        assert status(answer) == 415, path
    assert plain.engine.calls == []
    assert time.process_time() - began < 1


def test_an_upstream_cannot_make_us_unpack_its_answer() -> None:
    bomb = gzip.compress(b"0" * (64 << 20), 9)
    with mock_model() as mock, serving(to(mock)) as served:
        mock.answer = (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
            % (len(bomb), bomb)
        )
        began = time.process_time()
        response, _ = served.ask("POST", "/v1/chat/completions", CHAT)
        assert response.status == 502
        assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "X-Api-Key",
        "Host",
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "Idempotency-Key",
        "X-Lockgate-Data-Class",
    ],
)
def test_a_header_that_decides_something_is_there_once(plain: Served, name: str) -> None:
    head = f"POST /review HTTP/1.1\r\nHost: localhost\r\n{name}: 1\r\n{name.lower()}: 1\r\n\r\n"
    answer = plain.raw(head.encode())
    assert status(answer) == 400
    assert b"bad-http" in answer
    assert plain.engine.calls == []


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "Host", "Content-Type"])
@pytest.mark.parametrize("breaks", ["\r\n", "\n", "\r", "\0"])
def test_a_line_break_in_a_header_of_a_request_makes_no_header(
    plain: Served, name: str, breaks: str
) -> None:
    head = f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n{name}: a{breaks} Host: evil\r\n\r\n"
    assert status(plain.raw(head.encode())) == 400


def closed_after(client: socket.socket, most_s: float) -> float:
    """Read until the server closes; fail if it does not."""
    began = time.monotonic()
    client.settimeout(most_s)
    try:
        while client.recv(1 << 20):
            pass
    except (ConnectionResetError, BrokenPipeError):
        pass
    return time.monotonic() - began


def test_a_client_that_drips_empty_lines_before_its_request_is_let_go() -> None:
    with (
        serving(limits=QUICK) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=5) as client,
        pytest.raises(OSError, match=r"reset|pipe"),
    ):
        until = time.monotonic() + LONG_S
        while time.monotonic() < until:
            client.sendall(b"\r\n")
            time.sleep(0.05)


def test_a_client_that_drips_its_body_is_let_go() -> None:
    with (
        serving(limits=QUICK) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=5) as client,
    ):
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        began = time.monotonic()
        try:
            while time.monotonic() - began < LONG_S:
                client.sendall(b"1;" + b"e" * 100 + b"\r\nx\r\n")
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() - began < LONG_S
        assert served.engine.calls == []


@pytest.mark.parametrize(
    ("ends", "more"),
    [
        (b"0\r\nX: ", b"a" * 8192),
        (b"0\r\n", b"X: a\r\n" * 1024),
        (b"1;", b"e" * 8192),
        (b"", b"0" * 8192),
    ],
    ids=["trailer", "trailers", "extension", "size"],
)
def test_a_body_that_is_all_framing_ends_at_the_length_of_a_head(
    plain: Served, ends: bytes, more: bytes
) -> None:
    """The parser keeps a trailer until its end, and copies it at each part of it."""
    with socket.create_connection(("127.0.0.1", plain.port), timeout=5) as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n" + ends)
        sent = 0
        with pytest.raises(OSError, match=r"reset|pipe"):
            while sent < 64 << 20:
                sent += client.send(more)
        assert sent < 16 << 20  # what the sockets held, and not what the parser did
    assert plain.engine.calls == []


def large(mock: MockModel, size: int) -> None:
    text = json.dumps({"choices": [{"message": {"content": "x" * size}}]}).encode()
    mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


@pytest.mark.parametrize("unnoticed", [False, True])
@pytest.mark.parametrize("last", [b"close", b"keep-alive"])
def test_a_client_that_leaves_its_answer_unread_is_let_go(last: bytes, *, unnoticed: bool) -> None:
    with mock_model() as mock, serving(to(mock), limits=QUICK) as served:
        large(mock, 12 << 20)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", served.port))
            while not served.edge.open:
                time.sleep(0.005)
            if unnoticed:  # what is left is too little for the transport to call it a lot
                (protocol,) = served.edge.open
                protocol.transport.set_write_buffer_limits(high=64 << 20)
            chat = json.dumps(CHAT).encode()
            client.sendall(post(b"/v1/chat/completions", chat, b"Connection: " + last))
            assert mock.asked.wait(5)
            until = time.monotonic() + LONG_S + 1
            while served.edge.open and time.monotonic() < until:
                time.sleep(0.02)
            assert not served.edge.open


def test_a_client_that_has_read_a_large_answer_is_not_kept_for_ever() -> None:
    with mock_model() as mock, serving(to(mock), limits=QUICK) as served:
        large(mock, 8 << 20)
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(post(b"/v1/chat/completions", json.dumps(CHAT).encode()))
            assert closed_after(client, LONG_S + 1) < LONG_S


@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/v1/tasks/review", b"/admin/keys"])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'{"messages":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"a":' + b"9" * 1_000_000 + b"}",
        b'{"a":-0.' + b"0" * 1_000_000 + b"1e-999999999}",
        b'{"' + b"\\u0061" * 150_000 + b'":1}',
        b'"' * 1_000_000,
        b"{" + b'"a":1,' * 100_000 + b'"a":1}',
    ],
    ids=lambda b: b[:12].decode() if b[:1] != b"/" else b.decode(),
)
def test_huge_and_deep_json_is_refused_at_once(path: bytes, body: bytes) -> None:
    with serving(settings=ServerSettings()) as served:
        began = time.monotonic()
        try:
            answer = served.raw(post(path, body, b"Connection: close"))
        except ConnectionResetError:  # refused by its length, before it was all sent
            assert path == b"/admin/keys"
        else:
            assert status(answer) in {400, 413}, answer[:300]
        assert time.monotonic() - began < LONG_S
        assert served.ask("GET", "/healthz/live")[0].status == 200
