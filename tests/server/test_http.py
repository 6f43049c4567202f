"""What the edge does with requests that are odd, hostile or slow."""

import json
import socket
import time
from contextlib import ExitStack, closing

import pytest

from lockgate.config.gateway_settings import ServerSettings
from lockgate.server.protocol import EdgeLimits
from server.serving import Served, serving

LIVE = b"GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n"
QUICK = EdgeLimits(head_s=0.2, body_s=0.2, keep_alive_s=0.2)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_connection_serves_request_after_request() -> None:
    with serving() as served, socket.create_connection(("127.0.0.1", served.port)) as client:
        for _ in range(3):
            client.sendall(LIVE + b"\r\n")
            answer = client.recv(65536)
            assert (status(answer), answer.endswith(b'{"status":"ok"}')) == (200, True)


def test_every_answer_says_its_request_and_what_made_it() -> None:
    with serving() as served:
        response, _ = served.ask("GET", "/v1/models")
        assert response.headers["x-lockgate-release"] == "none"
        assert response.headers["x-lockgate-cache"] == "none"
        assert float(response.headers["x-lockgate-overhead-ms"]) >= 0
        assert len(response.headers["x-request-id"]) == 36


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz/live HTTP/1.1\r\n\r\n",
        LIVE + b"Host: again\r\n\r\n",
        LIVE + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        LIVE + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        LIVE + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        LIVE + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        LIVE + b"X: a\r\n folded\r\n\r\n",
        LIVE + b"X : a\r\n\r\n",
        LIVE + b"X: a\0b\r\n\r\n",
        LIVE + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        b"GET http://evil/healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz/live HTTP/1.1\nHost: localhost\n\n",
        b"GET /healthz/live HTTP/2.0\r\nHost: localhost\r\n\r\n",
        LIVE + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=lambda head: str(head[:50]),
)
def test_a_request_that_could_be_read_in_two_ways_is_refused_and_the_connection_closed(
    head: bytes,
) -> None:
    with serving() as served:
        answer = served.raw(head)
        assert status(answer) == 400
        assert b"connection: close" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "bad-http"


@pytest.mark.parametrize(
    "head",
    [
        LIVE + b"X: " + b"a" * 40_000 + b"\r\n\r\n",
        LIVE + b"X: a\r\n" * 150 + b"\r\n",
        b"GET /" + b"a" * 40_000,
    ],
    ids=["a long header", "many headers", "a long path"],
)
def test_a_head_has_a_largest_size(head: bytes) -> None:
    with serving() as served:
        assert status(served.raw(head)) == 431


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET /healthz/live HTTP/1.1\r\nHost:", b"408"),
        (b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", b"408"),
        (b"", b""),
        (LIVE + b"\r\n", b"200"),
    ],
    ids=["in its head", "in its body", "before it says anything", "after its request"],
)
def test_a_client_that_stalls_is_let_go(sent: bytes, expected: bytes) -> None:
    with serving(limits=QUICK) as served:
        began = time.monotonic()
        answer = served.raw(sent)
        assert answer[9:12] == expected
        assert time.monotonic() - began < 10


def test_a_client_that_drips_its_head_is_let_go_all_the_same() -> None:
    with (
        serving(limits=QUICK) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=5) as client,
        pytest.raises(OSError, match=r"reset|pipe"),
    ):
        for byte in LIVE * 2:
            client.sendall(bytes([byte]))
            time.sleep(0.02)


def test_a_pipelined_request_is_left_for_the_client_to_send_again() -> None:
    with serving() as served:
        answer = served.raw(LIVE + b"\r\n" + b"GET /nope HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert status(answer) == 200


def test_a_body_is_asked_for_before_it_is_sent_if_the_client_waits() -> None:
    head = (
        b"POST /review HTTP/1.1\r\nHost: localhost\r\n"
        b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    with serving() as served, socket.create_connection(("127.0.0.1", served.port)) as client:
        client.sendall(head)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hi")
        assert status(client.recv(65536)) == 200


@pytest.mark.parametrize(
    "path",
    [
        "/healthz/live/",
        "//healthz/live",
        "/healthz/./live",
        "/healthz/../healthz/live",
        "/healthz%2Flive",
        "/%68ealthz/live",
        "/healthz\\live",
        "/healthz;x/live",
        "/HEALTHZ/live",
        "/v1/tasks/re%76iew",
        "/v1/tasks/..",
        "/v1/models/a/b",
    ],
)
def test_a_path_has_one_spelling(path: str) -> None:
    with serving() as served:
        assert (
            status(
                served.raw(
                    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
                )
            )
            == 404
        )


def test_a_large_body_does_not_silence_its_connection() -> None:
    with serving() as served, socket.create_connection(("127.0.0.1", served.port)) as client:
        client.settimeout(5)
        for size in (200_000, 70_000, 3_000_000):
            head = b"POST /review HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size
            client.sendall(head + b"x" * size)
            assert status(client.recv(65536)) == 200


def test_another_method_is_told_which_ones_there_are() -> None:
    with serving() as served:
        response, body = served.ask("DELETE", "/v1/tasks/review")
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, POST")
        assert body["error"]["code"] == "method-not-allowed"


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", "; did you mean `/v1/chat/completions`?"),
        ("/v1/v1/models/m", "; did you mean `/v1/models/{model}`?"),
        ("/v1/review", "; did you mean `/review`?"),
        ("/v1/responses", ""),
        ("/v1", ""),
        ("/", ""),
    ],
)
def test_a_base_url_without_its_version_or_with_it_twice_is_told(path: str, meant: str) -> None:
    with serving() as served:
        response, answer = served.ask("POST", path, {})
    assert response.status == 404
    assert answer["error"]["message"] == f"there is nothing at this path{meant}"


def test_a_path_that_takes_other_methods_names_them_and_the_one_that_came() -> None:
    with serving() as served:
        _, answer = served.ask("DELETE", "/v1/models")
    assert answer["error"]["message"] == "this path takes GET, HEAD and not DELETE"


def test_the_head_of_what_can_be_got_can_be_asked_for_and_comes_alone() -> None:
    with serving() as served, socket.create_connection(("127.0.0.1", served.port)) as client:
        client.settimeout(5)
        for path in (b"/healthz/live", b"/v1/models", b"/nothing"):
            client.sendall(b"HEAD %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            head, end, body = client.recv(65536).partition(b"\r\n\r\n")
            assert (status(head), bool(end), body) == (
                404 if path == b"/nothing" else 200,
                True,
                b"",
            )
            assert b"\r\ncontent-length: 0" not in head
        client.sendall(b"HEAD /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n")
        refused = client.recv(65536)
        assert (status(refused), b"\r\nallow: POST\r\n" in refused) == (405, True)


def test_a_body_beyond_the_limit_is_refused_whether_it_says_its_length_or_not() -> None:
    small = ServerSettings(max_body_bytes=1024, max_task_bytes=1024)
    with serving(settings=small) as served:
        response, body = served.ask("POST", "/v1/embeddings", b"x" * 2000)
        assert (response.status, body["error"]["code"]) == (413, "too-large")
        head = (
            b"POST /review HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunked = b"%b400\r\n%b\r\n1\r\ny\r\n0\r\n\r\n" % (head, b"x" * 1024)
        assert status(served.raw(chunked)) == 413


def connected(served: Served, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", served.port), timeout=5)
    client.sendall(data)
    return client


def test_idle_connections_make_room_for_new_ones_and_busy_ones_do_not() -> None:
    live = b"GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    review = b"POST /review HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
    with serving(limits=EdgeLimits(connections=3)) as served, ExitStack() as stack:
        idle = [stack.enter_context(closing(connected(served, live))) for _ in range(3)]
        assert all(client.recv(4096).startswith(b"HTTP/1.1 200") for client in idle)
        served.engine.hold = True
        busy = []
        for number in range(3):
            busy.append(stack.enter_context(closing(connected(served, review))))
            until = time.monotonic() + 5
            while len(served.engine.calls) <= number and time.monotonic() < until:
                time.sleep(0.005)
        assert [client.recv(4096) for client in idle] == [b""] * 3
        assert len(served.engine.calls) == 3
        assert served.raw(b"").startswith(b"HTTP/1.1 503")
