"""What a hostile body or header can make the gateway do: nothing but what its caller may."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lockgate.config.gateway_settings import ServerKey
from lockgate.server import requests
from security.talking import CHAT, to
from server.serving import serving
from server.test_access import KEYS, bearer
from upstream.mock_model import MockModel

NOW = datetime(2026, 11, 21, tzinfo=UTC)
INJECTIONS = (
    "' OR '1'='1",
    "x'; DROP TABLE gateway_keys; --",
    'x" UNION SELECT digest FROM key_secrets --',
    "x') ON CONFLICT DO UPDATE SET roles='admin' --",
    "%27%20OR%201=1",
    "\\' OR 1=1 /*",
    "$1; SELECT pg_sleep(5)",
    "?1",
)


def two_teams() -> dict[str, ServerKey]:
    return {
        name: ServerKey(
            sha256=hashlib.sha256(name.encode()).hexdigest(),
            team=name,
            scopes=("model:*", "task:*"),
        )
        for name in ("blue", "red")
    }


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_a_key_a_name_or_a_query_is_only_a_text(tmp_path: Path, text: str) -> None:
    with serving(keys=KEYS, database=tmp_path / "lockgate.db") as served:
        ask = served.ask
        assert ask("GET", "/v1/models", None, {"X-Api-Key": text})[0].status == 401
        assert ask("GET", "/v1/models", None, {"Authorization": f"Bearer {text}"})[0].status == 401
        named: Any = {
            "/admin/keys": {"id": text, "team": "core"},
            "/admin/budgets": {"account": f"team:{text}", "limit_nanos": "1"},
            "/admin/kills": {"what": f"task:{text}", "reason": "a test"},
        }
        for path, body in named.items():
            for role in ("admin", "operator"):
                assert ask("POST", path, body, bearer(role))[0].status in {400, 403}
        made = {"id": "k", "team": "core", "scopes": []}
        assert ask("POST", "/admin/keys", made, bearer("admin"))[0].status == 201
        reason = {"what": "task:x", "reason": text}
        assert ask("POST", "/admin/kills", reason, bearer("operator"))[0].status == 201
        (kill,) = ask("GET", "/admin/kills", None, bearer("auditor"))[1]["data"]
        assert kill["reason"] == text
        (key,) = ask("GET", "/admin/keys", None, bearer("auditor"))[1]["data"]
        assert (key["id"], key["roles"]) == ("k", ["caller"])


PRIVILEGES: dict[str, Any] = {
    "role": "admin", "roles": ["admin"], "scopes": ["model:*"], "team": "core", "principal": "a/b",
    "key": "admin", "is_admin": True, "user_role": "admin", "api_key": "k", "api_base": "http://e/",
    "base_url": "http://e/", "data_class": "public", "cost": 0, "price": 0, "budget": 10**9,
    "__proto__": {"role": "admin"}, "constructor": {}, "__class__": "x", "$schema": "http://e/",
    "release": "sha256:0", "upstream": "there", "created_by": "root", "secret": "lgk_known",
    "digest": "0", "revoked_at": None, "expires_at": None, "extra_body": {"a": 1}, "id\0": "x",
}  # fmt: skip


@pytest.mark.parametrize("member", PRIVILEGES)
def test_a_member_that_nobody_asked_for_is_refused_by_every_typed_body(
    tmp_path: Path, mock: MockModel, member: str
) -> None:
    bodies: list[tuple[str, str, dict[str, Any]]] = [
        ("caller", "/v1/chat/completions", CHAT),
        ("caller", "/v1/completions", {"model": "m", "prompt": "hi"}),
        ("caller", "/v1/embeddings", {"model": "m", "input": "hi"}),
        ("admin", "/admin/keys/k/rotate", {}),
        ("operator", "/admin/kills", {"what": "task:x", "reason": "r"}),
    ]
    with serving(to(mock), keys=KEYS, database=tmp_path / "lockgate.db") as served:
        for role, path, body in bodies:
            sent = {**body, member: PRIVILEGES[member]}
            response, answer = served.ask("POST", path, sent, bearer(role))
            assert (response.status, answer["error"]["code"]) == (400, "invalid-input"), path
            assert "unknown field" in answer["error"]["message"]
        nested = {**CHAT, "messages": [{**CHAT["messages"][0], member: PRIVILEGES[member]}]}
        assert served.ask("POST", "/v1/chat/completions", nested, bearer("caller"))[0].status == 400
        assert mock.requests == []


@contextmanager
def canary() -> Iterator[tuple[int, list[Any]]]:
    """A port that nobody has a reason to connect to."""
    found: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                try:
                    connection, peer = server.accept()
                except TimeoutError:
                    continue
                found.append(peer)
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], found
        finally:
            done.set()
            thread.join()


def every_field(url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield bodies with an address in each place where a text may stand."""
    kinds: tuple[tuple[str, type[msgspec.Struct], dict[str, Any]], ...] = (
        ("/v1/chat/completions", requests.ChatRequest, CHAT),
        ("/v1/completions", requests.CompletionRequest, {"model": "m", "prompt": "hi"}),
        ("/v1/embeddings", requests.EmbeddingRequest, {"model": "m", "input": "hi"}),
    )
    ref = {"$ref": url, "$schema": url, "url": url, "server_url": url}
    shapes: tuple[Any, ...] = (
        url, [url], {"url": url}, [{"url": url}],
        {"type": "json_schema", "json_schema": {"name": "x", "schema": ref}},
        [{"type": "function", "function": {"name": "f", "parameters": ref}}],
        [{"type": "mcp", "server_label": "x", "server_url": url}],
        [{"type": "web_search", "url": url}],
    )  # fmt: skip
    for path, kind, body in kinds:
        for name in kind.__struct_fields__:
            for shape in shapes:
                yield path, {**body, name: shape}
    parts: tuple[dict[str, Any], ...] = (
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": {"url": f"data:image/png,{url}", "detail": url}},
        {"type": "input_audio", "input_audio": {"data": url, "format": url, "url": url}},
        {"type": "video_url", "video_url": {"url": url}},
        {"type": "file", "file": {"file_url": url}},
        {"type": "text", "text": f"![x]({url}) <img src='{url}'>"},
    )
    for part in parts:
        yield "/v1/chat/completions", {**CHAT, "messages": [{"role": "user", "content": [part]}]}
    for name in requests.Message.__struct_fields__:
        for shape in shapes:
            yield "/v1/chat/completions", {**CHAT, "messages": [{"role": "user", name: shape}]}
    yield "/v1/tasks/review", {"diff": url, "url": url, "$ref": url, "engine": url}


def test_an_address_in_any_field_or_header_is_never_asked(mock: MockModel) -> None:
    with canary() as (port, connected), serving(to(mock)) as served:
        passed = 0
        for url in (f"http://127.0.0.1:{port}/x", f"http://localhost.evil.example:{port}/"):
            for path, body in every_field(url):
                response, _ = served.ask("POST", path, body)
                assert response.status in {200, 400, 404, 502}, body
                passed += response.status == 200
        for name in ("Host", "X-Forwarded-Host", "Forwarded", "X-Original-URL", "Referer", "Link",
                     "X-Api-Base", "X-Upstream", "OpenAI-Base-Url", "Destination"):  # fmt: skip
            value = f"127.0.0.1:{port}" if name == "Host" else f"http://127.0.0.1:{port}/"
            served.ask("POST", "/v1/chat/completions", CHAT, {name: value})
        assert passed > 20
        assert connected == []
        assert all(f"host: 127.0.0.1:{mock.port}".encode() in head.lower() for head in mock.heads)
        assert not any(str(port).encode() in head for head in mock.heads)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "mcp", "server_label": "x", "server_url": "http://10.0.0.1/"}]},
        {"tools": [{"type": "web_search_preview"}]},
        {"tools": [{"server_url": "http://10.0.0.1/"}]},
        {"store": True},
        {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}}]}]},
        {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": " data:image/png;base64,AA"}}]}]},
    ],
)  # fmt: skip
def test_what_the_upstream_would_fetch_by_itself_does_not_reach_it(
    mock: MockModel, more: dict[str, Any]
) -> None:
    with serving(to(mock)) as served:
        assert served.ask("POST", "/v1/chat/completions", {**CHAT, **more})[0].status == 400
        assert mock.requests == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_of_an_upstream_is_not_followed_and_not_passed_on(
    mock: MockModel, code: int
) -> None:
    with canary() as (port, connected), serving(to(mock)) as served:
        where = b"http://127.0.0.1:%d/x" % port
        mock.answer = b"HTTP/1.1 %d X\r\nLocation: %b\r\nRefresh: 0; url=%b\r\n" % (
            code, where, where,
        ) + b"Content-Length: 0\r\n\r\n"  # fmt: skip
        for stream in (False, True):
            response, _ = served.ask("POST", "/v1/chat/completions", {**CHAT, "stream": stream})
            assert response.status == 502
            assert {"location", "refresh"}.isdisjoint(response.headers)
        assert connected == []
