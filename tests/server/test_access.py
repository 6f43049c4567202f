"""Who may use which route: the matrix is made from the route table itself."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.config.gateway_settings import ServerKey
from lockgate.server.route import Route
from server.serving import Served, serving

ROLES = ("caller", "auditor", "operator", "admin")


def key(role: str, *scopes: str) -> ServerKey:
    digest = hashlib.sha256(role.encode()).hexdigest()
    return ServerKey(sha256=digest, roles=(role,), scopes=scopes, team="core")  # type: ignore[arg-type]


KEYS = {role: key(role, "task:*", "model:*") for role in ROLES}
KEYS["narrow"] = ServerKey(
    sha256=hashlib.sha256(b"narrow").hexdigest(), scopes=("task:other", "model:other")
)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}


def example(route: Route) -> tuple[str, Any]:
    path = route.path.format(task="review", model="m", call="x", key="nobodys")
    bodies = {
        "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
        "completions": {"model": "m", "prompt": "hi"},
        "embeddings": {"model": "m", "input": "hi"},
        "admin-make-key": {"id": "k", "team": "core"},
        "admin-rotate-key": {},
        "admin-set-budget": {"account": "team:core", "limit_nanos": "1"},
        "admin-turn-off": {"what": "task:nothing", "reason": "a test"},
    }
    return path, bodies.get(route.name, {"diff": ""})


def test_every_route_answers_exactly_the_roles_that_its_row_names(tmp_path: Path) -> None:
    with serving(keys=KEYS, database=tmp_path / "lockgate.db") as served:
        for route in served.routes:
            path, body = example(route)
            sent = None if route.method == "GET" else body
            anonymous, _ = served.ask(route.method, path, sent)
            unknown, _ = served.ask(route.method, path, sent, bearer("guess"))
            refused = {anonymous.status == 401, unknown.status == 401}
            assert refused == {route.role is not None}, route.name
            for role in ROLES:
                response, answer = served.ask(route.method, path, sent, bearer(role))
                denied = response.status == 403 and answer["error"]["code"] == "denied"
                assert denied == (route.role not in {None, role}), (route.name, role)
                assert response.status != 401


def test_every_route_with_a_scope_refuses_a_key_that_does_not_hold_it() -> None:
    with serving(keys=KEYS) as served:
        judged = 0
        for route in served.routes:
            if route.scope is None:
                continue
            path, body = example(route)
            sent = None if route.method == "GET" else body
            response, answer = served.ask(route.method, path, sent, bearer("narrow"))
            assert (response.status, answer["error"]["code"]) == (403, "denied"), route.name
            judged += 1
        assert judged >= 8
        assert served.engine.calls == []


def test_a_key_sees_only_what_it_may_use() -> None:
    with serving(keys=KEYS) as served:
        assert served.ask("GET", "/v1/tasks", None, bearer("narrow"))[1]["data"] == []
        listed = served.ask("GET", "/v1/tasks", None, bearer("caller"))[1]["data"]
        assert [row["id"] for row in listed] == ["review"]


def test_whoever_may_not_use_a_task_or_a_model_does_not_learn_whether_there_is_one() -> None:
    with serving(keys=KEYS) as served:
        for path in ("/v1/tasks/{}", "/v1/models/{}"):
            there, _ = served.ask("GET", path.format("review"), None, bearer("narrow"))
            not_there, _ = served.ask("GET", path.format("nothing"), None, bearer("narrow"))
            assert there.status == not_there.status == 403


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Basic Y2FsbGVyOg==",
        "Bearer caller2",
        "Bearer CALLER",
        "Bearer call",
        "Bearer ' OR 1=1 --",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
        "caller",
    ],
)
def test_what_is_no_key_opens_nothing(header: str) -> None:
    with serving(keys=KEYS) as served:
        response, answer = served.ask("GET", "/v1/models", None, {"Authorization": header})
        assert (response.status, answer["error"]["code"]) == (401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"


def test_two_different_keys_in_one_request_open_nothing() -> None:
    with serving(keys=KEYS) as served:
        both = {**bearer("caller"), "X-Api-Key": "admin"}
        assert served.ask("GET", "/v1/models", None, both)[0].status == 401
        assert served.ask("GET", "/v1/models", None, {"X-Api-Key": "caller"})[0].status == 200


TEXT = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\"), max_size=30
)
FORWARDED = st.sampled_from(
    ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-User", "Forwarded",
     "X-Original-URL", "X-Rewrite-URL", "X-Real-IP", "X-Remote-User", "X-HTTP-Method-Override"]
)  # fmt: skip


@pytest.fixture(scope="module")
def keyed() -> Any:
    with serving(keys=KEYS) as served:
        yield served


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    host=TEXT.filter(bool) | st.sampled_from(["localhost", "127.0.0.1", "localhost:1"]),
    header=FORWARDED,
    value=TEXT | st.sampled_from(["127.0.0.1", "localhost", "/healthz/live", "admin"]),
    route=st.integers(0, 99),
)
def test_no_header_but_the_key_opens_a_route(
    keyed: Served, host: str, header: str, value: str, route: int
) -> None:
    chosen = keyed.routes[route % len(keyed.routes)]
    path, _ = example(chosen)
    head = (
        f"{chosen.method} {path} HTTP/1.1\r\nHost: {host}\r\n{header}: {value}\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    status = int(keyed.raw(head.encode("latin-1")).split(b" ", 2)[1])
    assert status == (401 if chosen.role is not None else 200)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.lists(
        st.sampled_from(
            ["/", "v1", "models", "tasks", "review", "healthz", "live", "..", ".", "%2e%2e", "%2f",
             "%00", ";", "?", "#", "\\", "%", "metrics", "//", "@"]
        ),
        max_size=8,
    ).map("".join)
)  # fmt: skip
def test_the_route_that_is_judged_is_the_route_that_runs(keyed: Served, path: str) -> None:
    head = f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = keyed.raw(head.encode("latin-1"))
    status = int(answer.split(b" ", 2)[1])
    open_routes = {r.path for r in keyed.routes if r.role is None}
    spelled = f"/{path}".partition("?")[0]
    if status == 200:
        assert spelled in open_routes
    else:
        assert status in {400, 401, 404, 405}


def test_without_keys_a_web_page_gets_nothing() -> None:
    with serving() as served:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": "evil.example"},
            {"Host": "evil.example:8400"},
            {"Host": "127.0.0.1.evil.example"},
            {"Host": "localhost.evil.example:80"},
        ):
            response, _ = served.ask("POST", "/review", b"diff", headers)
            assert response.status == 403, headers
        assert served.engine.calls == []
        assert served.ask("POST", "/review", b"", {"Host": "localhost:1"})[0].status == 200
        assert served.ask("POST", "/review", b"", {"Host": "[::1]:1"})[0].status == 200


def test_a_call_is_made_in_the_name_of_the_key() -> None:
    with serving(keys=KEYS) as served:
        served.ask(
            "POST",
            "/v1/tasks/review",
            {
                "diff": "",
            },
            bearer("caller"),
        )
        assert served.engine.calls[0].principal.name == "core/caller"
        smuggled = json.dumps({"diff": "", "principal": "admin", "role": "admin"}).encode()
        served.ask("POST", "/v1/tasks/review", smuggled, bearer("caller"))
        assert {call.principal.name for call in served.engine.calls} == {"core/caller"}
