"""Requests whose end is nearly clear, and two readers of them: the gateway's edge, and h11."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any, TypeAlias

import h11

from gateway_fuzz import Wire
from lockgate.server.protocol import Edge

Read: TypeAlias = tuple[str, bytes, bytes] | None
"""Method, target and body; None: it is no request."""

# fmt: off
LINES = (
    b"Content-Length: 5", b"Content-Length: 5, 5", b"content-length:5", b"Content-Length: 05",
    b"Content-Length: 0", b"Content-Length: 5\t", b"Content-Length: \x0b5", b"Content-Length: 5 5",
    b"Content-Length:", b"Content-Length\t: 5", "Content-Length: \u0665".encode(),
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked", b"transfer-encoding:chunked",
    b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: ,chunked", b"Transfer-Encoding: chunked,", b"Transfer-Encoding:",
    b"X: y", b" folded", b"\tfolded", b"X", b": y", b"X\x00: y", b"X: \x01", b"X: a\rb",
    b"X: \xff\xff", b"Trailer: X", b"Upgrade: x", b"Connection: close", b"Keep-Alive: 5",
    b"Connection: keep-alive, transfer-encoding", b"Expect: 100-continue",
)
BODIES = (
    b"hello", b"", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"5;a=b\r\nhello\r\n0\r\n\r\n",
    b"5 ;a\r\nhello\r\n0\r\n\r\n", b"05\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"5\nhello\n0\n\n", b"5\r\nhello\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
    b"5\r\nhell\r\n0\r\n\r\n",
    b'5;"\r\n"=\r\nhello\r\n0\r\n\r\n', b"5\r\r\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\nhello", b"+5\r\nhello\r\n0\r\n\r\n",
)
# fmt: on
ENDS = (*[b"\r\n"] * 30, b"\n", b"\r", b"\r\r\n", b"\n\r\n", b" \r\n")
ODD = (b"\0", b"\n", b"\r", b" ", b"\t", b":", b"", b"\x80", b"\r\n", b";", b",")


def make(chance: random.Random) -> bytes:
    """Return a request whose first line is right and whose rest may be."""
    method = chance.choice((b"POST", b"GET", b"PUT", b"OPTIONS"))
    lines = [b"Host: localhost", *chance.choices(LINES, k=chance.choice((1, 1, 2, 2, 3)))]
    chance.shuffle(lines)
    rest = b"".join(line + chance.choice(ENDS) for line in [*lines, b""])
    rest += chance.choice(BODIES)
    if chance.random() < 0.3:
        at = chance.randrange(len(rest))
        rest = rest[:at] + chance.choice(ODD) + rest[at + chance.choice((0, 1)) :]
    return method + b" /a?b HTTP/1.1\r\n" + rest


def by_h11(data: bytes) -> Read:
    """Read the first request with a parser that shares no code with the gateway's."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(data)
    method, target, body = "", b"", b""
    try:
        while True:
            match reader.next_event():
                case h11.Request() as request:
                    method, target = request.method.decode(), request.target
                case h11.Data() as part:
                    body += bytes(part.data)
                case h11.EndOfMessage():
                    return method, target, body
                case _:
                    return None
    except h11.RemoteProtocolError:
        return None


class ByTheEdge:
    """Reads with the gateway's edge. Belongs to the running loop."""

    def __init__(self) -> None:
        self._found: list[Read] = []
        self._edge = Edge(app=self._app)
        self._state = SimpleNamespace(
            connections=set(), tasks=set(), default_headers=[], total_requests=0
        )

    async def read(self, data: bytes) -> list[Read]:
        """Return the requests that reached the application whole."""
        self._found = []
        config, loop = SimpleNamespace(loaded_app=None), asyncio.get_running_loop()
        protocol = self._edge(config, self._state, {}, loop)
        protocol.connection_made(Wire("127.0.0.1"))
        protocol.data_received(data)
        for _ in range(4):
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        if self._state.tasks:
            await asyncio.wait(tuple(self._state.tasks))
        return self._found

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            more = message["more_body"]
        target = scope["raw_path"] + b"?" + scope["query_string"]
        self._found.append((scope["method"], target, body))
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
