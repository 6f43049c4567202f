"""Requests as bytes, and a gateway before a fake upstream."""

import json
from typing import Any

from lockgate.app.gateway_models import ServedModel
from server.serving import Models, upstream
from upstream.mock_model import MockModel

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
HEAD = b"POST /review HTTP/1.1\r\nHost: localhost\r\n"


def status(answer: bytes) -> int:
    """Return the status of an answer."""
    return int(answer.split(b" ", 2)[1])


def post(path: bytes, body: bytes, *headers: bytes) -> bytes:
    """Return a request of JSON."""
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: localhost", *headers]
    lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def saying(text: str) -> bytes:
    """Return what an upstream sends that says a text."""
    body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def to(mock: MockModel) -> Models:
    """Return the model `m`, which is at `mock`."""

    async def models() -> dict[str, ServedModel]:
        return {"m": upstream("m", mock.port)}

    return models
