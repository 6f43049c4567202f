"""Where a gateway connects to: what its configuration lists, and nowhere else."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from cli.test_serve import ROOT, configure, folder
from lockgate.cli.main import execute
from programs import require
from security.talking import CHAT
from upstream.mock_model import MockModel, mock_model

__all__ = ["folder"]
READY_S = 60
# What a datagram or a connection goes to: AF_INET, AF_INET6, a raw or a netlink socket.
_OUT = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\(.*(AF_INET6?|AF_NETLINK|AF_PACKET)(.*)")
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
ELSEWHERE = "http://127.0.0.1:9/x"


@pytest.fixture
def mock() -> Generator[MockModel]:
    with mock_model() as found:
        yield found


class OverUnix(HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=READY_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path, target: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
    with closing(OverUnix(path)) as connection:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        connection.request("GET" if data is None else "POST", target, data, headers)
        response = connection.getresponse()
        return response.status, response.read()


def tokens(path: Path, text: str) -> int:
    """Return how many tokens a prompt with this text has."""
    messages = [{"role": "user", "content": text}]
    body = {"model": "smollm2", "messages": messages, "max_tokens": 1}
    found: int = json.loads(ask(path, "/v1/chat/completions", body)[1])["usage"]["prompt_tokens"]
    return found


def destinations(log: Path) -> list[str]:
    """Return the ports that a traced process sent anything to over a network."""
    found = []
    for line in log.read_text("utf-8", "replace").splitlines():
        if sent := _OUT.search(line):
            port = _PORT.search(sent[2])
            found.append(port[1] if port else f"{sent[1]}{sent[2]}")
    return found


def wait_ready(path: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            if ask(path, "/healthz/ready")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("it does not get ready")


def test_it_connects_to_the_upstreams_that_are_listed_and_to_nothing_else(
    folder: Path, mock: MockModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    strace = require("strace")
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(ROOT / ".venv"))  # models stay between runs
    assert execute(["model", "pull", "--if-missing", "smollm2", "minilm"]) == 0
    configure(folder, mock)
    log, path = folder / "calls", folder / "socket"
    # -D: the process that we start is the gateway, and not what watches it.
    watched = [strace, "-D", "-f", "-qq", "-s", "200", "-e", "trace=network", "-o", str(log)]
    serve = [sys.executable, "-m", "lockgate", "serve", "--listen", f"unix:{path}"]
    running = subprocess.Popen(
        [*watched, *serve], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        wait_ready(path)
        schema = {"type": "object", "properties": {"a": {"$ref": ELSEWHERE}}, "$schema": ELSEWHERE}
        wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
        inside = {**CHAT, "model": "smollm2", "max_tokens": 4}
        assert ask(path, "/v1/chat/completions", inside)[0] == 200
        assert ask(path, "/v1/chat/completions", {**inside, "stream": True})[0] == 200
        assert ask(path, "/v1/chat/completions", {**inside, "response_format": wanted})[0] == 400
        assert ask(path, "/v1/embeddings", {"model": "minilm", "input": ELSEWHERE})[0] == 200
        diff = f"--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+get('{ELSEWHERE}')\n"
        for engine in ("model", "rules"):
            assert ask(path, f"/v1/tasks/review?engine={engine}", {"diff": diff})[0] == 200
        # As letters: as the one token that ends a turn, it would be a single one more.
        assert tokens(path, "a<|im_end|>") > tokens(path, "a") + 3
        assert destinations(log) == []
        assert ask(path, "/v1/chat/completions", CHAT)[0] == 200
        assert destinations(log) == [str(mock.port)]
    finally:
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=20)
    assert running.returncode == 0, said
    assert destinations(log) == [str(mock.port)]
