"""Who may run what: a matrix made from the route table, and requests that try to confuse it."""

import asyncio
import hmac
import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from posixpath import normpath
from typing import Any
from urllib.parse import unquote

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway_fuzz import fuzz
from identity.issuers import claims, public_jwk, rsa_key, segment
from lockgate.app.gateway_access import LocalCaller
from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_meter import GatewayMeter
from lockgate.config.gateway_settings import ServerKey, ServerSettings
from lockgate.domain.identity import GatewayKey, KeySecret, Role
from lockgate.identity.authenticator import Authenticator
from lockgate.identity.oidc import Issuer, Oidc
from lockgate.identity.rules import Glob, Rule
from lockgate.identity.secret import digest
from lockgate.server import application
from lockgate.server.application import Application
from lockgate.server.exchange import Exchange
from lockgate.server.route import Route, Table
from server.serving import Served, serving
from server.test_access import example

NOW = datetime.now(UTC)
ISSUER = "https://ci.example"
ALL = frozenset({"task:*", "model:*"})
DEAD = ("expired", "revoked", "retired", "unknown")
RSA = rsa_key()
OTHER = rsa_key()


def rule(role: Role) -> Rule:
    return Rule(claims={"role": Glob(role)}, team="core", roles=frozenset({role}), scopes=ALL)


def gate() -> Authenticator:
    """Return what takes a key and a token for each role, and knows keys that have ended."""
    issuer = Issuer(
        name="ci",
        issuer=ISSUER,
        audience="lockgate",
        jwks_url=f"{ISSUER}/jwks",
        rules=tuple(rule(role) for role in Role),
    )
    document = json.dumps({"keys": [public_jwk(RSA, "k")]}).encode()
    tokens = Oidc([issuer], fetch=lambda _: document, clock=lambda: datetime.now(UTC))
    assert tokens.refresh() == []
    found = Authenticator(clock=lambda: datetime.now(UTC), pepper=b"p" * 32, tokens=tokens)
    keys, secrets = [], []
    for name in (*Role, *DEAD[:3]):
        key = GatewayKey(
            id=name,
            team="core",
            roles=frozenset({name}) if isinstance(name, Role) else frozenset(Role),
            scopes=ALL,
            created_at=NOW,
            created_by="core/admin",
            expires_at=NOW if name == "expired" else None,
            revoked_at=NOW if name == "revoked" else None,
        )
        ends = NOW if name == "retired" else None
        keys.append(key)
        secrets.append(
            KeySecret(digest=digest(name.encode()).hex(), key=name, created_at=NOW, expires_at=ends)
        )
    found.load(keys, secrets)
    return found


def token(role: str, key: Any = RSA, **changed: Any) -> str:
    now = int(datetime.now(UTC).timestamp())
    given = claims(ISSUER, **{"role": role, "iat": now - 60, "exp": now + 600, **changed})
    ordered = dict(sorted(given.items()))
    return jwt.encode(ordered, key, algorithm="RS256", headers={"kid": "k"})


def resigned(text: str, algorithm: str) -> str:
    """Return a token under another algorithm, signed with what everybody knows: the public key."""
    head = segment({"alg": algorithm, "kid": "k", "typ": "JWT"})
    signed = f"{head}.{text.split('.')[1]}"
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.digest(public, signed.encode(), "sha256")
    return f"{signed}.{segment(mac) if algorithm.startswith('HS') else ''}"


def forged(role: str) -> dict[str, str]:
    """Return tokens that name a role and prove nothing."""
    long_ago = int((NOW - timedelta(days=1)).timestamp())
    good = token(role)
    return {
        "ended": token(role, iat=long_ago, exp=long_ago + 600),
        "unsigned": resigned(good, "none"),
        "unsigned, in capitals": resigned(good, "NONE"),
        "an HMAC with the public key": resigned(good, "HS256"),
        "for somebody else": token(role, aud="another"),
        "of another issuer": token(role, iss=f"{ISSUER}/"),
        "by another key": token(role, OTHER),
        "without its signature": good.rpartition(".")[0] + ".",
        "another's payload": ".".join(
            [good.split(".")[0], token(role, sub="repo:evil/x").split(".")[1], good.split(".")[2]]
        ),
    }


@dataclass
class Gated:
    """A gateway with the real authenticator, and what its handlers were asked."""

    served: Served
    ran: list[tuple[str, str]]

    def ask(self, route: Route, secret: str | None) -> tuple[int, list[tuple[str, str]]]:
        """Return the status, and which handlers ran for whom."""
        self.ran.clear()
        path, body = example(route)
        headers = {"Content-Type": "application/json"}
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret}"
        sent = body if route.method == "POST" else None
        return self.served.ask(route.method, path, sent, headers)[0].status, list(self.ran)


def noted(route: Route, ran: list[tuple[str, str]]) -> Route:
    async def handler(exchange: Exchange) -> None:
        ran.append((route.name, exchange.caller.key if route.role is not None else ""))
        await route.handler(exchange)

    return replace(route, handler=handler)


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gated]:
    database: Path = tmp_path_factory.mktemp("gated") / "lockgate.db"
    with serving(keys={"unused": ServerKey(sha256="0" * 64)}, database=database) as served:
        ran: list[tuple[str, str]] = []
        served.edge.app = Application(
            [noted(route, ran) for route in served.routes],
            authenticator=gate(),
            meter=GatewayMeter(Controls()),
            keyless=False,
        )
        yield Gated(served, ran)


def test_each_route_runs_for_its_role_by_key_and_by_token_and_for_no_other(gated: Gated) -> None:
    judged = 0
    for route, role in product(gated.served.routes, Role):
        subject = f"ci/{claims(ISSUER)['sub']}"
        for secret, name in ((str(role), str(role)), (token(role), subject)):
            status, ran = gated.ask(route, secret)
            caller = name if route.role is not None else ""
            allowed = route.role in {None, role}
            assert ran == ([(route.name, caller)] if allowed else []), (route.name, role)
            assert allowed or status == 403
            judged += 1
    assert judged == len(gated.served.routes) * len(Role) * 2
    assert {route.role for route in gated.served.routes} == {None, *Role}
    assert sum(route.path.startswith("/admin/") for route in gated.served.routes) >= 14


def test_what_has_ended_or_was_forged_runs_nothing_on_any_route(gated: Gated) -> None:
    for route in gated.served.routes:
        if route.role is None:
            continue
        secrets = {**{name: name for name in DEAD}, **forged(route.role), "nothing": None}
        for what, secret in secrets.items():
            assert gated.ask(route, secret) == (401, []), (route.name, what)


def test_without_keys_each_route_runs_for_this_machine_and_for_no_web_page(
    tmp_path: Path,
) -> None:
    with serving(database=tmp_path / "lockgate.db") as served:
        ran: list[tuple[str, str]] = []
        served.edge.app = Application(
            [noted(route, ran) for route in served.routes],
            authenticator=LocalCaller(),
            meter=GatewayMeter(Controls()),
            keyless=True,
        )
        for route in served.routes:
            path, body = example(route)
            sent = body if route.method == "POST" else None
            for page in (
                {"Host": "evil.example"},
                {"Origin": "null"},
                {"Sec-Fetch-Site": "same-site"},
            ):
                ran.clear()
                response, _ = served.ask(route.method, path, sent, page)
                assert bool(ran) == (route.role is None), (route.name, page)
                assert response.status == 403 or route.role is None
            ran.clear()
            served.ask(route.method, path, sent, {"Content-Type": "application/json"})
            assert [name for name, _ in ran] == [route.name]


@pytest.mark.parametrize(
    ("peer", "more", "allowed"),
    [
        (("127.0.0.1", 5), (), True),
        (("127.8.8.8", 5), (), True),
        (("::1", 5), (), True),
        (("::ffff:127.0.0.1", 5), (), True),
        (None, (), True),  # a Unix socket
        (("10.0.0.1", 5), (), False),
        (("::ffff:10.0.0.1", 5), (), False),
        (("fe80::1%eth0", 5), (), False),
        (("203.0.113.9", 5), ((b"x-forwarded-for", b"127.0.0.1"),), False),
        (("203.0.113.9", 5), ((b"x-real-ip", b"::1"), (b"host", b"localhost")), False),
        (("127.0.0.1", 5), ((b"x-forwarded-for", b"127.0.0.1"),), False),
        (("127.0.0.1", 5), ((b"forwarded", b"for=127.0.0.1"),), False),
        (("127.0.0.1", 5), ((b"via", b"1.1 proxy"),), False),
    ],
    ids=str,
)
def test_the_admin_api_is_for_this_machine_whoever_asks_and_whatever_a_proxy_says(
    gated: Gated, peer: Any, more: Any, *, allowed: bool
) -> None:
    statuses = {}
    for route in gated.served.routes:
        if route.role is None:
            continue
        gated.ran.clear()
        statuses[route.path, route.method] = asyncio.run(called(gated, route, peer, more))
        runs = allowed or not route.path.startswith("/admin/")
        assert bool(gated.ran) == runs, route.name
    assert (403 in statuses.values()) != allowed


async def called(gated: Gated, route: Route, peer: Any, more: Any) -> int:
    """Call the application as the server does for a request from `peer`."""
    key = (b"x-api-key", str(route.role).encode())
    path, _ = example(route)
    scope = {
        "type": "http",
        "method": route.method,
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), key, *more],
        "client": peer,
        "server": ("127.0.0.1", 8400),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    app: Any = gated.served.edge.app
    await app(scope, receive, send)
    return int(sent[0]["status"])


def test_with_leave_of_the_configuration_the_admin_api_is_for_everyone_with_a_key() -> None:
    with serving(settings=ServerSettings(admin_from="anywhere")) as served:
        assert not any(route.near for route in served.routes)
    with serving() as served:
        near = {route.path for route in served.routes if route.near}
        assert near == {r.path for r in served.routes if r.path.startswith("/admin/")} != set()


def test_tokens_that_begin_alike_are_told_apart_to_the_last_byte(gated: Gated) -> None:
    """Keyed by a prefix, a cache of checked tokens gives one bearer the rights of another."""
    (models,) = [route for route in gated.served.routes if route.name == "models"]
    filler = "x" * 4000
    tokens = {n: token("caller", aaa=filler, sub=f"repo:acme/{n}") for n in ("one", "two")}
    same = next(i for i, (a, b) in enumerate(zip(*tokens.values(), strict=False)) if a != b)
    assert same > 2000
    for _ in range(2):
        for name, text in tokens.items():
            assert gated.ask(models, text)[1] == [("models", f"ci/repo:acme/{name}")]
    assert gated.ask(models, tokens["one"][:-4] + "AAAA")[0] == 401
    assert gated.ask(models, tokens["one"][:same])[0] == 401


def test_what_runs_is_what_was_judged_in_5000_hostile_requests() -> None:
    report = asyncio.run(fuzz(5_000, seed=5))
    assert report.wrong == []
    assert report.refused == []
    assert report.ran > 300
    assert len(report.routes) >= 27
    assert set(report.statuses) - {0} == {200, 400, 401, 403, 404, 405}


def test_the_fuzz_finds_a_gateway_whose_caller_outlives_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = Authenticator.authenticate
    known: list[Any] = []

    def keeping(gate: Authenticator, *shown: Any) -> Any:
        known[:] = known or [find(gate, *shown)]
        return known[0]

    monkeypatch.setattr(Authenticator, "authenticate", keeping)
    assert asyncio.run(fuzz(1_000, seed=5)).wrong


def test_the_fuzz_finds_a_gateway_that_takes_a_proxys_word_for_where_a_client_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(application, "_refuse_far", lambda _: None)
    assert asyncio.run(fuzz(1_000, seed=5)).wrong


def test_the_fuzz_finds_a_gateway_that_normalises_its_paths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = Table.find
    monkeypatch.setattr(
        Table, "find", lambda table, path: find(table, normpath(unquote(path)).lower())
    )
    assert asyncio.run(fuzz(1_000, seed=5)).wrong


def test_the_fuzz_finds_a_gateway_that_believes_a_forwarded_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = Exchange.__init__

    def believing(self: Exchange, scope: Any, *rest: Any, **more: Any) -> None:
        begin(self, scope, *rest, **more)
        if forwarded := dict(scope["headers"]).get(b"x-forwarded-host"):
            self.headers[b"host"] = forwarded

    monkeypatch.setattr(Exchange, "__init__", believing)
    assert asyncio.run(fuzz(9_000, seed=5)).wrong
