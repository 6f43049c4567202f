import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.errors import UpstreamFailed, UpstreamTimeout
from lockgate.upstream.limits import Limits
from lockgate.upstream.pool import Pool
from lockgate.upstream.reply import Reply
from lockgate.upstream.request import Request
from upstream.lying import Server, listening, pool_to, says

GET = Request(b"GET", b"/v1/models", idempotent=True)
POST = Request(b"POST", b"/v1/chat/completions", b"{}")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
Script = Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def with_pool(
    script: Script,
    work: Callable[[Pool, Server], Coroutine[Any, Any, Any]],
    limits: Limits | None = None,
) -> Any:
    async def main() -> Any:
        async with listening(script) as server, pool_to(server, limits) as pool:
            return await asyncio.wait_for(work(pool, server), 10)

    return asyncio.run(main())


async def fetch(pool: Pool, server: Server) -> Reply:
    return await pool.fetch(POST)


def answer(data: bytes, *, close: bool = False, limits: Limits | None = None) -> Reply:
    reply = with_pool(says(data, close=close), fetch, limits)
    assert isinstance(reply, Reply)
    return reply


def test_one_connection_serves_request_after_request() -> None:
    async def work(pool: Pool, server: Server) -> None:
        bodies = [(await pool.fetch(POST)).body for _ in range(3)]
        assert bodies == [b"hi"] * 3
        assert server.connections == 1
        assert server.requests[2] == (
            b"POST /v1/chat/completions HTTP/1.1\r\n"
            + f"host: 127.0.0.1:{server.port}\r\n".encode()
            + b"content-length: 2\r\n\r\n{}"
        )

    with_pool(says(OK, OK, OK), work)


def test_chunks_extensions_and_trailers_are_read_and_trailers_are_no_headers() -> None:
    reply = answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2;a=b\r\nhi\r\n3\r\n yo\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    assert (reply.body, reply.header(b"x-trailer")) == (b"hi yo", None)


def test_informational_answers_are_skipped() -> None:
    reply = answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
    assert (reply.status, reply.body, reply.header(b"link")) == (200, b"hi", None)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    assert answer(b"HTTP/1.1 200 OK\r\n\r\nhi there", close=True).body == b"hi there"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-Space : a\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhix\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhi",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhi",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x00\xa5",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20 + OK,
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 200 + b"Content-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 40_000 + b"\r\nContent-Length: 2\r\n\r\nhi",
    ],
    ids=lambda data: str(data[:60]),
)
def test_an_answer_that_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="not valid"):
        answer(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(data: bytes) -> None:
    with pytest.raises(UpstreamFailed, match="hung up"):
        answer(data, close=True)


def test_a_body_beyond_the_limit_is_refused() -> None:
    with pytest.raises(UpstreamFailed, match="longer than 4 bytes"):
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", limits=Limits(body_bytes=4))


@pytest.mark.parametrize(
    ("ends", "more"),
    [
        (b"0\r\nX: ", b"a" * 4096),
        (b"0\r\n", b"X: a\r\n" * 512),
        (b"1;", b"e" * 4096),
        (b"", b"0" * 4096),
    ],
    ids=["trailer", "trailers", "extension", "size"],
)
def test_chunks_that_are_all_framing_end_at_the_length_of_a_head(ends: bytes, more: bytes) -> None:
    async def script(
        state: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await state.request(reader)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head + b"2\r\nhi\r\n" + ends)
        while True:
            writer.write(more)
            await writer.drain()

    async def streamed(pool: Pool, server: Server) -> None:
        stream = await pool.open(POST)
        while await stream.part():
            pass

    for work in (fetch, streamed):
        with pytest.raises(UpstreamFailed, match="its trailer is longer than 32768 bytes"):
            with_pool(script, work)


def test_what_an_upstream_sends_unasked_is_not_the_next_answer() -> None:
    async def work(pool: Pool, server: Server) -> None:
        assert (await pool.fetch(GET)).body == b"hi"
        assert (await pool.fetch(GET)).body == b"hi"
        assert server.connections == 2

    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    with_pool(says(OK + evil, OK), work)


async def once_then_close(
    state: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer the first request of a connection, take the second and hang up without a word."""
    await state.request(reader)
    writer.write(OK)
    if state.connections > 1:
        await reader.read()
        return
    await state.request(reader)


def test_a_request_that_was_answered_before_it_was_read_is_the_last_of_its_connection() -> None:
    async def work() -> None:
        async def script(
            state: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\n{}")
            await asyncio.Event().wait()

        async with listening(script) as server, pool_to(server) as pool:
            for number in (1, 2):
                reply = await pool.fetch(Request(b"POST", b"/v1/x", b"x" * (32 << 20)))
                assert (reply.status, server.connections) == (413, number)
            assert pool.open_connections == 0

    asyncio.run(work())


def test_an_idempotent_request_on_a_stale_connection_is_sent_again() -> None:
    async def work(pool: Pool, server: Server) -> None:
        await pool.fetch(GET)
        assert (await pool.fetch(GET)).body == b"hi"
        assert (server.connections, len(server.requests)) == (2, 3)

    with_pool(once_then_close, work)


def test_a_request_that_may_have_been_acted_on_is_not_sent_again() -> None:
    async def work(pool: Pool, server: Server) -> None:
        await pool.fetch(POST)
        with pytest.raises(UpstreamFailed, match="before it answered"):
            await pool.fetch(POST)
        assert len(server.requests) == 2

    with_pool(once_then_close, work)


def test_an_idempotent_request_is_not_sent_again_once_an_answer_has_begun() -> None:
    async def script(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        await s.request(r)
        w.write(OK)
        await s.request(r)
        w.write(b"HTTP/1.1 2")

    async def work(pool: Pool, server: Server) -> None:
        await pool.fetch(GET)
        with pytest.raises(UpstreamFailed, match="in the middle"):
            await pool.fetch(GET)
        assert len(server.requests) == 2

    with_pool(script, work)


def test_an_upstream_that_says_nothing_times_out_and_sees_the_connection_closed() -> None:
    async def work(pool: Pool, server: Server) -> None:
        with pytest.raises(UpstreamTimeout, match="answered nothing"):
            await pool.fetch(POST)
        await asyncio.wait_for(server.hung_up.wait(), 1)
        assert pool.open_connections == 0

    async def silent(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        await s.request(r)
        await r.read()
        s.hung_up.set()

    with_pool(silent, work, Limits(first_byte_s=0.1))


def test_an_upstream_that_took_long_to_connect_to_times_out_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def script(
        server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read()

    async def work(pool: Pool, server: Server) -> None:
        dial = asyncio.get_running_loop().create_connection

        async def slowly(*arguments: Any) -> Any:
            await asyncio.sleep(0.2)  # a few sweeps
            return await dial(*arguments)

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", slowly)
        with pytest.raises(UpstreamTimeout, match=r"answered nothing in 0\.1 s"):
            await pool.fetch(POST)

    with_pool(script, work, Limits(first_byte_s=0.1))


def test_an_upstream_that_drips_is_cut_off_at_the_total_time() -> None:
    async def drip(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        await s.request(r)
        w.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            w.write(b"a")
            await w.drain()
            await asyncio.sleep(0.02)

    with pytest.raises(UpstreamTimeout, match="stalled"):
        with_pool(drip, fetch, Limits(idle_s=5, total_s=0.2))


def test_a_cancelled_request_closes_its_connection_at_once() -> None:
    async def work(pool: Pool, server: Server) -> None:
        asking = asyncio.ensure_future(pool.fetch(POST))
        await server.asked.wait()
        asking.cancel()
        await asyncio.wait_for(server.hung_up.wait(), 0.1)
        assert pool.open_connections == 0

    async def silent(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        await s.request(r)
        await r.read()
        s.hung_up.set()

    with_pool(silent, work)


def test_requests_beyond_the_connections_wait_for_their_turn() -> None:
    async def work(pool: Pool, server: Server) -> None:
        replies = await asyncio.gather(*(pool.fetch(POST) for _ in range(9)))
        assert {r.body for r in replies} == {b"hi"}
        assert server.connections <= 2

    with_pool(says(*[OK] * 9), work, Limits(connections=2))


def test_who_waits_for_a_connection_of_a_client_that_is_closed_is_told_and_not_cancelled() -> None:
    async def work() -> None:
        async def script(
            state: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await state.request(reader)
            await reader.read()

        async with listening(script) as server, pool_to(server, Limits(connections=1)) as pool:
            asking = [asyncio.create_task(pool.fetch(POST)) for _ in range(3)]
            await server.asked.wait()
            await pool.close()
            found = await asyncio.gather(*asking, return_exceptions=True)
            assert [getattr(error, "why", "") for error in found] == [
                "truncated", "connect", "connect"
            ]  # fmt: skip

    asyncio.run(work())


def test_a_stream_comes_in_parts_and_its_connection_is_used_again() -> None:
    async def script(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await s.request(r)
            w.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            await s.request(r)
            w.write(b"1\r\nb\r\n0\r\n\r\n")

    async def work(pool: Pool, server: Server) -> None:
        for _ in range(2):
            stream = await pool.open(POST)
            assert (stream.status, await stream.part()) == (200, b"a")
            stream._connection._transport.write(b"GET / HTTP/1.1\r\n\r\n")  # lets the server go on
            assert [await stream.part(), await stream.part()] == [b"b", b""]
        assert server.connections == 1

    with_pool(script, work)


def test_a_stream_that_breaks_off_gives_what_came_and_then_fails() -> None:
    async def script(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        await s.request(r)
        w.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")

    async def work(pool: Pool, server: Server) -> None:
        stream = await pool.open(POST)
        assert await stream.part() == b"a"
        with pytest.raises(UpstreamFailed, match="in the middle"):
            await stream.part()
        assert pool.open_connections == 0

    with_pool(script, work)


def test_a_slow_reader_of_a_stream_bounds_what_is_held() -> None:
    size = 8 << 20

    async def script(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        await s.request(r)
        w.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        w.write(b"x" * size)
        await w.drain()
        await r.read()

    async def work(pool: Pool, server: Server) -> None:
        stream = await pool.open(POST)
        await asyncio.sleep(0.2)
        assert stream._connection._buffered < 1 << 20
        total = 0
        while part := await stream.part():
            total += len(part)
        assert total == size

    with_pool(script, work, Limits(buffer_bytes=64 << 10))


@pytest.mark.parametrize(
    "request_",
    [
        Request(b"GET", b"/a\r\nX: 1"),
        Request(b"GET", b"/a b"),
        Request(b"GET", b"http://elsewhere/"),
        Request(b"GET /", b"/a"),
        Request(b"GET", b"/", headers=((b"x", b"a\r\ny: b"),)),
        Request(b"GET", b"/", headers=((b"x", b"a\nb"),)),
        Request(b"GET", b"/", headers=((b"x\r\ny", b"b"),)),
        Request(b"GET", b"/", headers=((b"x", b"\0"),)),
        Request(b"GET", b"/", headers=((b"Host", b"elsewhere"),)),
        Request(b"GET", b"/", headers=((b"Transfer-Encoding", b"chunked"),)),
        Request(b"GET", b"/", headers=((b"content-length", b"9"),)),
    ],
    ids=str,
)
def test_a_request_that_would_frame_another_one_is_refused(request_: Request) -> None:
    async def work(pool: Pool, server: Server) -> None:
        with pytest.raises(ValueError, match=r"not a|frames"):
            await pool.fetch(request_)
        assert server.connections == 0

    with_pool(says(OK), work)


PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"Content-Length: 2\r\n",
        b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"X: y\r\n",
        b" folded\r\n",
        b"\r\n",
        b"2\r\nhi\r\n",
        b"0\r\n\r\n",
        b"hi",
        OK,
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(st.one_of(PIECES, st.binary(max_size=12)), max_size=8),
    cut=st.integers(0, 40),
)
def test_whatever_an_upstream_says_there_is_an_answer_or_an_error_and_no_leftover(
    pieces: list[bytes], cut: int
) -> None:
    data = b"".join(pieces)

    async def script(s: Server, r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        if s.connections > 1:
            await says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean")(s, r, w)
            return
        await s.request(r)
        w.write(data[:cut])
        await w.drain()
        await asyncio.sleep(0)
        w.write(data[cut:])

    async def work(pool: Pool, server: Server) -> None:
        try:
            first = await pool.fetch(POST)
        except UpstreamFailed:
            pass
        else:
            assert 200 <= first.status <= 599
        for _ in range(2):
            try:
                second = await pool.fetch(GET)
            except UpstreamFailed:
                continue
            assert second.body == b"clean"
            return
        raise AssertionError("the pool does not recover")

    with_pool(script, work, Limits(first_byte_s=1, body_bytes=64))
