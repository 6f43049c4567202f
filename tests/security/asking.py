"""A gateway at a Unix socket, and one request of each kind."""

import json
import socket
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

READY_S = 60
ELSEWHERE = "http://127.0.0.1:9/x"


class OverUnix(HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=READY_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Asking:
    """A client of the gateway at `path`."""

    path: Path
    key: str = ""

    def ask(self, target: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        with closing(OverUnix(self.path)) as connection:
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            if self.key:
                headers["Authorization"] = f"Bearer {self.key}"
            connection.request("GET" if data is None else "POST", target, data, headers)
            response = connection.getresponse()
            return response.status, response.read()

    def wait_ready(self) -> None:
        """Wait until the gateway takes requests."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            try:
                if self.ask("/healthz/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError("it does not get ready")

    def ask_what_is_inside(self) -> None:
        """Ask the models and the rules of the process itself, with addresses in every text."""
        ask = self.ask
        schema = {"type": "object", "properties": {"a": {"$ref": ELSEWHERE}}, "$schema": ELSEWHERE}
        wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
        text = [{"role": "user", "content": f"see {ELSEWHERE}"}]
        inside = {"model": "smollm2", "messages": text, "max_tokens": 4}
        assert ask("/v1/chat/completions", inside)[0] == 200
        assert ask("/v1/chat/completions", {**inside, "stream": True})[0] == 200
        assert ask("/v1/chat/completions", {**inside, "response_format": wanted})[0] == 400
        schema = {"type": "string", "pattern": "^(?=a)b$"}
        wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
        status, said = ask("/v1/chat/completions", {**inside, "response_format": wanted})
        assert (status, json.loads(said)["error"]["code"]) == (400, "request-refused")
        long = [{"role": "user", "content": "word " * 20_000}]
        status, said = ask("/v1/chat/completions", {**inside, "messages": long})
        assert (status, json.loads(said)["error"]["code"]) == (400, "request-refused")
        assert ask("/v1/embeddings", {"model": "minilm", "input": ELSEWHERE})[0] == 200
        diff = f"--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+get('{ELSEWHERE}')\n"
        for engine in ("model", "rules"):
            assert ask(f"/v1/tasks/review?engine={engine}", {"diff": diff})[0] == 200

    def tokens(self, text: str) -> int:
        """Return how many tokens a prompt with this text has."""
        messages = [{"role": "user", "content": text}]
        body = {"model": "smollm2", "messages": messages, "max_tokens": 1}
        answer = json.loads(self.ask("/v1/chat/completions", body)[1])
        found: int = answer["usage"]["prompt_tokens"]
        return found
