import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from conftest import Opener
from identity.issuers import LoopbackIssuer, claims, public_jwk, rsa_key, running_issuer
from ledgers import now, refused
from lockgate.app.background import Background, running
from lockgate.app.identity import (
    Wanted,
    key_fetcher,
    list_keys,
    make_key,
    open_authenticator,
    revoke_key,
    rotate_key,
)
from lockgate.config.environment import Environment
from lockgate.config.gateway_settings import IdentitySettings, TokenIssuer, TokenRule
from lockgate.domain.identity import Role
from lockgate.errors import NotFound, Unauthenticated, Unavailable, UsageError
from lockgate.identity.authenticator import Authenticator
from lockgate.ports import GatewayState
from waiting import wait_until

T = TypeVar("T")
WANTED = Wanted(
    id="ci",
    team="shop",
    roles=frozenset({Role.CALLER}),
    scopes=frozenset({"task:review", "model:*"}),
)


def knows(gate: Authenticator, secret: str) -> bool:
    try:
        gate.authenticate(b"Bearer " + secret.encode(), None)
    except (Unauthenticated, Unavailable):
        return False
    return True


@pytest.fixture
def admin(opener: Opener) -> Callable[[Callable[[GatewayState], Coroutine[Any, Any, T]]], T]:
    """Runs one administrative action on a connection of its own, as the command line does."""

    def run(work: Callable[[GatewayState], Coroutine[Any, Any, T]]) -> T:
        async def act() -> T:
            async with opener() as store:
                return await work(store)

        return asyncio.run(act())

    return run


@pytest.fixture
def replicas(opener: Opener) -> Generator[list[Authenticator]]:
    with ExitStack() as stack:
        gates = []
        for _ in range(3):
            gate, jobs = open_authenticator(
                IdentitySettings(), clock=now, fetch=refused_fetch, failed=refused
            )
            stack.enter_context(running(Background(opener, jobs, failed=refused)))
            gates.append(gate)
        yield gates


def refused_fetch(url: str) -> bytes:
    raise AssertionError(url)


def test_a_revoked_key_is_refused_by_every_replica_within_a_second(
    admin: Any, replicas: list[Authenticator]
) -> None:
    secret = admin(lambda state: make_key(state, WANTED, actor="ana", now=now()))
    wait_until(lambda: all(knows(gate, secret) for gate in replicas))

    admin(lambda state: revoke_key(state, "ci", actor="ana", now=now()))

    assert wait_until(lambda: not any(knows(gate, secret) for gate in replicas)) < 1


def test_a_key_is_rotated_while_calls_go_on_and_none_is_refused(
    admin: Any, replicas: list[Authenticator]
) -> None:
    old = admin(lambda state: make_key(state, WANTED, actor="ana", now=now()))
    wait_until(lambda: all(knows(gate, old) for gate in replicas))
    overlap = timedelta(seconds=2)
    new = admin(lambda s: rotate_key(s, "ci", actor="ana", now=now(), overlap=overlap))

    def moved() -> bool:
        assert all(knows(gate, old) for gate in replicas)
        return all(knows(gate, new) for gate in replicas)

    assert wait_until(moved) < 1
    wait_until(lambda: not any(knows(gate, old) for gate in replicas))
    assert all(knows(gate, new) for gate in replicas)


def test_every_change_of_a_key_is_in_the_audit_log_without_its_secret(admin: Any) -> None:
    async def work(state: GatewayState) -> None:
        first = await make_key(state, WANTED, actor="ana", now=now())
        second = await rotate_key(state, "ci", actor="bo", now=now(), overlap=timedelta(hours=1))
        await revoke_key(state, "ci", actor="cy", now=now())
        async with state.begin() as unit:
            events = await unit.events()
        found = [(e.entry.action, e.entry.subject, e.entry.actor) for e in events]
        assert found == [
            ("token.new", "ci", "ana"),
            ("token.rotate", "ci", "bo"),
            ("token.revoke", "ci", "cy"),
        ]
        assert not any(secret[4:] in str(events) for secret in (first, second))

    admin(work)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "a/b"},
        {"id": ""},
        {"id": "x'; DROP TABLE gateway_keys; --"},
        {"team": "sh op"},
        {"scopes": frozenset({"task"})},
        {"scopes": frozenset({"admin:*"})},
        {"scopes": frozenset({"task:"})},
        {"scopes": frozenset({"task:re*"})},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_key_that_cannot_be_is_refused(admin: Any, changed: dict[str, Any]) -> None:
    values = {name: getattr(WANTED, name) for name in Wanted.__slots__}
    wanted = Wanted(**{**values, **changed})
    with pytest.raises(UsageError):
        admin(lambda state: make_key(state, wanted, actor="ana", now=now()))
    assert admin(list_keys) == []


def test_a_key_that_is_not_there_is_neither_rotated_nor_revoked(admin: Any) -> None:
    with pytest.raises(NotFound):
        admin(lambda state: revoke_key(state, "ci", actor="ana", now=now()))
    with pytest.raises(NotFound):
        admin(lambda s: rotate_key(s, "ci", actor="ana", now=now(), overlap=timedelta(0)))


@pytest.fixture
def loopback() -> Generator[LoopbackIssuer]:
    with running_issuer() as issuer:
        yield issuer


def test_a_ci_job_gets_in_with_the_token_of_its_configured_issuer(
    opener: Opener, loopback: LoopbackIssuer
) -> None:
    private = rsa_key()
    loopback.keys = [public_jwk(private, "one")]
    rule = TokenRule(claims={"repository": "acme/*"}, team="shop", scopes=("task:review",))
    issuer = TokenIssuer(
        name="ci",
        issuer="https://token.example.org",
        audience="lockgate",
        jwks_url=f"{loopback.url}/jwks",
        rules=(rule,),
    )
    gate, jobs = open_authenticator(
        IdentitySettings(issuers=(issuer,)),
        clock=now,
        fetch=key_fetcher(Environment.read({})),
        failed=refused,
    )
    import jwt

    second = int(now().timestamp())
    given = claims("https://token.example.org", iat=second, exp=second + 60)
    token = jwt.encode(given, private, algorithm="RS256", headers={"kid": "one"})
    with running(Background(opener, jobs, failed=refused)):
        wait_until(lambda: knows(gate, token))
        found = gate.authenticate(b"Bearer " + token.encode(), None)
    assert (found.team, found.may("task", "review")) == ("shop", True)


def test_keys_of_an_issuer_are_fetched_without_redirects_and_within_bounds(
    loopback: LoopbackIssuer,
) -> None:
    fetch = key_fetcher(Environment.read({}))
    loopback.raw = b"x" * (256 << 10)
    assert len(fetch(f"{loopback.url}/jwks")) == 256 << 10
    loopback.raw += b"x"
    for path in ("jwks", "elsewhere"):
        with pytest.raises(Unavailable, match="did not come"):
            fetch(f"{loopback.url}/{path}")
    with pytest.raises(Unavailable, match="did not come"):
        fetch("http://127.0.0.1:1/jwks")


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nX", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_an_issuer_that_drips_is_given_up(said: bytes) -> None:
    """A byte now and then renews the timeout of a read, and kept all other issuers waiting."""
    done = threading.Event()

    def drip(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.sendall(said)
            while not done.wait(0.02):
                try:
                    client.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        try:
            with pytest.raises(Unavailable, match="did not come: TimeoutError"):
                key_fetcher(Environment.read({}), total_s=0.3)(
                    f"http://127.0.0.1:{server.getsockname()[1]}/jwks"
                )
        finally:
            done.set()
            thread.join(5)
