"""2,000 secrets and personal data go through a gateway, and are nowhere afterwards."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cli.test_serve import PRICES, Process, configure, folder, wait_ready
from lockgate.app.gateway_controls import Controls, exact_cache, guards
from lockgate.config.gateway_settings import CacheSettings, ServerSettings
from lockgate.config.guard_settings import GuardClassSettings, GuardSettings
from lockgate.domain.guard import Action
from security.seeds import Seed, seeds
from security.talking import CHAT, to
from server.serving import serving
from upstream.mock_model import MockModel

__all__ = ["folder"]
COUNT = 2_000
KEY = "k"
READER = "reader"
GROUP = 10
"""Seeds in a request."""


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Take spans, as an OpenTelemetry collector does."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", bodies
        finally:
            server.shutdown()
            thread.join()


def settings(collector_url: str) -> list[str]:
    reader = hashlib.sha256(READER.encode()).hexdigest()
    rows = ["[server.keys.reader]", f'sha256 = "{reader}"', 'roles = ["auditor"]']
    for data_class in ("public", "internal", "confidential"):
        rows += [f"[guards.{data_class}]", 'secrets = "redact"', 'personal = "redact"']
    rows += ["[server.cache]", "ttl_s = 600", "[books]", 'prices = "prices.toml"']
    return [
        *rows,
        "[server.tracing]",
        f'otlp_url = "{collector_url}"',
        "ratio = 1.0",
        "content = true",
    ]


def said(text: str, *, stream: bool) -> bytes:
    """Return what an upstream sends that says a text."""
    if not stream:
        body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    cuts = [text[i : i + 7] for i in range(0, len(text), 7)]
    chunks = [{"choices": [{"index": 0, "delta": {"content": cut}}]} for cut in cuts]
    body = b"".join(b"data: %b\n\n" % json.dumps(c).encode() for c in chunks)
    body += b"data: [DONE]\n\n"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Client:
    """Sends each group of seeds along another way."""

    def __init__(self, process: Process, mock: MockModel) -> None:
        host, _, port = process.address.rpartition(":")
        self._connection = HTTPConnection(host, int(port), timeout=20)
        self._mock = mock
        self.answers: list[bytes] = []
        self.statuses: set[int] = set()

    def ask(self, path: str, body: Any, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        self._connection.request("POST", path, data, {**sent, **(headers or {})})
        response = self._connection.getresponse()
        self.answers.append(response.read())
        self.statuses.add(response.status)

    def send(self, number: int, group: Sequence[Seed]) -> None:
        text = "\n".join(seed.line for seed in group)
        self._mock.answer = None
        way = number % 12
        if way < 5:
            self.ask_model(way, text)
        elif way < 8:
            self.ask_task(way, group)
        elif way < 10:
            stream = way == 9
            self._mock.answer = said(text, stream=stream)
            body = {**CHAT, "user": f"answer {number}", "stream": stream}
            self.ask("/v1/chat/completions", body)
        elif way == 10:
            self.fail(group, text)
        else:
            self.mislead(group)

    def ask_model(self, way: int, text: str) -> None:
        message = {"role": "user", "content": text}
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": text}}
        turns = [{"role": "assistant", "tool_calls": [call]}, {**message, "role": "tool"}]
        chat = "/v1/chat/completions"
        ways: tuple[tuple[str, dict[str, Any]], ...] = (
            (chat, {**CHAT, "messages": [message]}),
            (chat, {**CHAT, "messages": [message], "stream": True}),
            (chat, {**CHAT, "messages": turns}),
            ("/v1/completions", {"model": "m", "prompt": text}),
            ("/v1/embeddings", {"model": "m", "input": [text, text]}),
        )
        self.ask(*ways[way])

    def ask_task(self, way: int, group: Sequence[Seed]) -> None:
        lines = "".join(f"+{seed.line}\n" for seed in group)
        diff = f"--- a/x\n+++ b/x\n@@ -0,0 +1,{len(group)} @@\n{lines}"
        if way == 5:
            self.ask("/v1/tasks/review?engine=rules", {"diff": diff})
        elif way == 6:
            self.ask("/review?engine=rules", diff.encode(), {"Content-Type": "text/plain"})
        else:
            headers = {"Prefer": "respond-async", "Idempotency-Key": group[0].value}
            self.ask("/v1/tasks/review?engine=rules", {"diff": diff}, headers)

    def fail(self, group: Sequence[Seed], text: str) -> None:
        """Let the upstream fail, and quote what it was asked."""
        body = json.dumps({"error": {"message": text}}).encode()
        for code in (500, 401):
            head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (code, len(body))
            self._mock.answer = head + body
            self.ask("/v1/chat/completions", {**CHAT, "user": group[0].value})
        broken = b'data: {"choices":[{"delta":{"content":"%b' % group[1].value.encode()
        self._mock.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + broken + b"\n\n"
        self.ask("/v1/chat/completions", {**CHAT, "stream": True})

    def mislead(self, group: Sequence[Seed]) -> None:
        """Put them where no text belongs."""
        values = [seed.value for seed in group]
        chat = "/v1/chat/completions"
        self.ask(chat, {**CHAT, "model": values[0]})
        self.ask(chat, {**CHAT, values[1]: values[1]})
        self.ask(chat, f'{{"model": "{values[2]}'.encode())
        self.ask(f"/{values[3].replace(' ', '')}", b"{}")
        self.ask(f"/v1/tasks/review?format={values[4].replace(' ', '+')}", {"diff": values[4]})
        self.ask(chat, CHAT, {"X-Lockgate-Data-Class": values[5]})
        self.ask(chat, CHAT, {"Authorization": f"Bearer {values[6]}"})
        self.ask(chat, CHAT, {"Traceparent": values[7], "User-Agent": values[7], "Via": values[7]})
        self.ask("/v1/tasks/review", {"nothing": values[8]}, {"Referer": f"http://x/{values[8]}"})
        self.ask("/v1/tasks/" + values[9].replace(" ", ""), {"diff": values[9]})

    def close(self) -> None:
        self._connection.close()

    def metrics(self) -> bytes:
        self._connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {READER}"})
        response = self._connection.getresponse()
        assert response.status == 200
        return response.read()


def kept(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def found_in(all_seeds: Sequence[Seed], where: dict[str, bytes]) -> list[tuple[str, str, str]]:
    return [
        (name, seed.kind, seed.value)
        for name, data in where.items()
        for seed in all_seeds
        if seed.value.encode() in data or seed.value.replace(" ", "").encode() in data
    ]


def test_secrets_and_personal_data_are_in_no_log_trace_database_ledger_spool_or_metric(
    folder: Path, mock: MockModel
) -> None:
    everything = seeds(COUNT, seed=7)
    state = folder.parent / "state"
    with collector() as (url, spans):
        configure(folder, mock, key=KEY, more=settings(url))
        (folder / "prices.toml").write_text(PRICES)
        process = Process(folder)
        try:
            client = Client(process, mock)
            wait_ready(process)
            for number, at in enumerate(range(0, COUNT, GROUP)):
                client.send(number, everything[at : at + GROUP])
            metrics, during = client.metrics(), kept(state)
            client.close()
        finally:
            code = process.end()
        assert code == 0
        logged = "".join(process.said).encode()
        assert {200, 202, 400, 401, 404, 502} <= client.statuses
        assert len(mock.requests) > COUNT // GROUP // 2
        assert b"GET" in b"".join(spans) or b"POST" in b"".join(spans)
        where = {
            "stderr": logged,
            "metrics": metrics,
            "spans": b"".join(spans),
            **{f"during: {name}": data for name, data in during.items()},
            **{f"after: {name}": data for name, data in kept(state).items()},
        }
        assert found_in(everything, where) == []
        asked = json.dumps(mock.requests).encode()
        assert found_in(everything, {"upstream": asked}) == []
        with sqlite3.connect(next(state.rglob("*.db"))) as database:
            events = database.execute("SELECT count(*) FROM audit").fetchone()[0]
        database.close()
        assert events > COUNT // GROUP // 2


def test_secrets_and_personal_data_are_not_in_the_cache(mock: MockModel) -> None:
    everything = seeds(COUNT, seed=8)
    chosen = GuardClassSettings(personal=Action.REDACT)
    controls = Controls(
        guards=guards(GuardSettings(public=chosen, internal=chosen, confidential=chosen))
    )
    cache = exact_cache(ServerSettings(cache=CacheSettings(ttl_s=600)))
    assert cache is not None
    with serving(to(mock), controls=replace(controls, cache=cache)) as served:
        for at in range(0, COUNT, 2 * GROUP):
            sent, answered = everything[at : at + GROUP], everything[at + GROUP : at + 2 * GROUP]
            text = "\n".join(seed.line for seed in sent)
            body = {**CHAT, "messages": [{"role": "user", "content": text}]}
            mock.answer = None
            served.ask("POST", "/v1/chat/completions", body)
            mock.answer = said("\n".join(seed.line for seed in answered), stream=False)
            served.ask("POST", "/v1/chat/completions", {**body, "seed": at})
        held = repr([(k, v) for k, v in cache._kept.items()]).encode()
        assert len(cache) > 0
        assert found_in(everything, {"cache": held}) == []
