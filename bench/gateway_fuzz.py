#!/usr/bin/env python3
"""Send hostile requests to the gateway's own protocol, and compare what ran with what was allowed.

usage: bench/gateway_fuzz.py [--requests N] [--seed N]

Bytes go in where the event loop hands them over: the parser, the table of routes, the authenticator
and the authorisation are those of `lockgate serve`. Only the handlers are replaced: each notes that
it ran, and for whom. An oracle that shares no code with the gateway reads the same bytes and says
which route they name and whether their key, and the place that they came from, may use it. Every
request has to agree, in both directions: however its bytes are cut, after whatever request came
before it on its connection, and with another one close behind it.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway_shots import ROLES, Shot, Shots
from lockgate.app.gateway import Gateway
from lockgate.app.gateway_access import LocalCaller
from lockgate.app.gateway_admin import StateBridge
from lockgate.app.gateway_audit import NoAudit
from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_meter import GatewayMeter
from lockgate.config.gateway_settings import ServerSettings
from lockgate.config.load import Loaded
from lockgate.config.settings import Config
from lockgate.domain.identity import GatewayKey, KeySecret, Role
from lockgate.identity.authenticator import Authenticator
from lockgate.identity.secret import digest
from lockgate.server.application import Application
from lockgate.server.build import build
from lockgate.server.exchange import Exchange
from lockgate.server.protocol import Edge
from lockgate.server.route import Handler, Route
from lockgate.tasks.review.task import Review

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SEGMENT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
MAX_SEGMENT = 128
PIPELINED = 0.05
HERE = "127.0.0.1"
FAR = "203.0.113.9"
PROXIES = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


def gate() -> Authenticator:
    """Return what knows one key a role, and some that are no longer valid."""
    found = Authenticator(clock=lambda: NOON, pepper=b"p" * 32)
    keys, secrets = [], []
    for name in (*ROLES, "expired", "revoked", "retired"):
        role = Role(name) if name in ROLES else Role.ADMIN
        keys.append(
            GatewayKey(
                id=name,
                team="core",
                roles=frozenset({role}),
                scopes=frozenset({"task:*", "model:*"}),
                created_at=NOON - DAY,
                created_by="core/admin",
                expires_at=NOON if name == "expired" else None,
                revoked_at=NOON if name == "revoked" else None,
            )
        )
        secrets.append(
            KeySecret(
                digest=digest(name.encode()).hex(),
                key=name,
                created_at=NOON - DAY,
                expires_at=NOON if name == "retired" else None,
            )
        )
    found.load(keys, secrets)
    return found


@dataclass
class Ran:
    """What handlers noted."""

    routes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def handler(self, route: Route) -> Handler:
        """Return the handler that stands in for a route's own."""

        async def note(exchange: Exchange) -> None:
            caller = exchange.caller.key if route.role is not None else ""
            self.routes.append((route.name, caller))
            await exchange.respond(b"{}")

        return note


class Wire:
    """A transport that keeps what is written."""

    def __init__(self, peer: str) -> None:
        self.sent = bytearray()
        self.closing = False
        self._peer = peer

    def get_extra_info(self, name: str) -> Any:
        """Say where it is from."""
        return {"peername": (self._peer, 5), "sockname": ("127.0.0.1", 8400)}.get(name)

    def write(self, data: bytes) -> None:
        """Keep data."""
        self.sent += data

    def is_closing(self) -> bool:
        """Say whether it was closed."""
        return self.closing

    def close(self) -> None:
        """Close."""
        self.closing = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Target:
    """A gateway to which bytes are handed. Belongs to the running loop."""

    def __init__(self, *, keyless: bool, peer: str) -> None:
        self.keyless = keyless
        self.peer = peer
        self.ran = Ran()
        gateway = Gateway(
            settings=ServerSettings(),
            loaded=Loaded(config=Config(), path=None, folder=Path("/")),
            engine=SimpleNamespace(answer=None),  # type: ignore[arg-type]  # nothing is called
            audit=NoAudit(),
            controls=Controls(),
            models={},
            tasks={"review": Review()},
            authenticator=LocalCaller() if keyless else gate(),
            keyless=keyless,
            admin=StateBridge(),
        )
        own = build(gateway, ready=lambda: "").application.table.routes
        self.routes = [replace(route, handler=self.ran.handler(route)) for route in own]
        self._edge = Edge(
            app=Application(
                self.routes,
                authenticator=gateway.authenticator,
                meter=GatewayMeter(gateway.controls),
                keyless=keyless,
            )
        )
        self._state = SimpleNamespace(
            connections=set(), tasks=set(), default_headers=[], total_requests=0
        )
        self._protocol: Any = None
        self._connect()

    async def send(self, parts: list[bytes]) -> tuple[int, list[tuple[str, str]]]:
        """Return the status of the first answer, 0 if there is none, and what ran.

        A connection that the gateway keeps takes the next request, too.
        """
        self.ran.routes.clear()
        if self._wire.closing:
            self._connect()
        wire, before = self._wire, len(self._wire.sent)
        for part in parts:
            self._protocol.data_received(part)
        if self._state.tasks:
            await asyncio.wait(tuple(self._state.tasks))
        head = bytes(wire.sent[before + 9 : before + 12])
        if not head:
            self._connect()  # it waits for more of a request that is whole
        return int(head) if head else 0, list(self.ran.routes)

    def _connect(self) -> None:
        if self._protocol is not None:
            self._protocol.connection_lost(None)
        self._wire = Wire(self.peer)
        config = SimpleNamespace(loaded_app=None)
        self._protocol = self._edge(config, self._state, {}, asyncio.get_running_loop())
        self._protocol.connection_made(self._wire)


class Oracle:
    """Says what a request may run. Reads it anew, with nothing of the gateway's."""

    def __init__(self, target: Target) -> None:
        self._routes = target.routes
        self._keyless = target.keyless
        self._far = target.peer != HERE

    def allowed(self, shot: Shot) -> tuple[str, str] | None:
        """Return the name of the route and of its caller; None: nothing may run."""
        path = shot.target.lstrip(" ").partition("?")[0]  # spaces before it are skipped
        method = "GET" if shot.method == "HEAD" else shot.method
        route = next((r for r in self._routes if r.method == method and _fits(r.path, path)), None)
        if route is None:
            return None
        if route.role is None:
            return route.name, ""
        if route.path.startswith("/admin/") and (self._far or any(map(shot.all, PROXIES))):
            return None
        caller = self._caller(shot)
        if self._keyless:
            return (route.name, caller) if caller else None
        return (route.name, caller) if caller == route.role else None

    def _caller(self, shot: Shot) -> str:
        if self._keyless:
            host = shot.all("host")[0].strip().lower() if shot.all("host") else ""
            name, colon, _ = host.rpartition(":")
            name = name if colon and not host.endswith("]") else host
            page = shot.all("origin") or any(
                site.strip() not in {"", "none"} for site in shot.all("sec-fetch-site")[-1:]
            )
            return "local" if name in LOCAL and not page else ""
        shown = {value.lstrip() for value in shot.all("x-api-key")}  # what follows it counts
        for value in shot.all("authorization"):
            scheme, _, key = value.strip().partition(" ")
            if scheme.lower() != "bearer":
                return ""
            shown.add(key.strip())
        shown.discard("")
        key = shown.pop() if len(shown) == 1 else ""
        return key if key in {str(role) for role in ROLES} else ""


def _fits(pattern: str, path: str) -> bool:
    if "{" not in pattern:
        return pattern == path
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        _segment(part) if name.startswith("{") else name == part
        for name, part in zip(wanted, given, strict=True)
    )


def _segment(part: str) -> bool:
    return 0 < len(part) <= MAX_SEGMENT and part[0] not in "._-" and all(c in SEGMENT for c in part)


@dataclass
class Report:
    """What came of it."""

    requests: int = 0
    ran: int = 0
    statuses: Counter[int] = field(default_factory=Counter[int])
    wrong: list[tuple[bytes, object, object]] = field(default_factory=list[Any])
    """Requests that ran something else than they may, with what ran and what might have."""
    refused: list[tuple[bytes, int, object]] = field(default_factory=list[Any])
    """Requests that were refused though nothing is wrong with them."""
    routes: set[str] = field(default_factory=set[str])


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """Return the bytes as a network may bring them."""
    cuts = sorted(chance.randrange(len(data)) for _ in range(chance.choice((0, 0, 0, 1, 2, 9))))
    return [data[a:b] for a, b in pairwise([0, *cuts, len(data)])]


async def fuzz(requests: int, seed: int) -> Report:
    """Send requests, half of them to a gateway without keys, and a quarter from far away."""
    chance = random.Random(seed)
    report = Report()
    targets = [
        Target(keyless=False, peer=HERE),
        Target(keyless=True, peer=HERE),
        Target(keyless=False, peer=FAR),
    ]
    near, keyless, far = [(t, Oracle(t), Shots(t.routes, chance)) for t in targets]
    rows = (near, keyless, far, keyless)
    for number in range(requests):
        target, oracle, shots = rows[number % len(rows)]
        shot = shots.make()
        parts = cut(shot.data, chance)
        followed = chance.random() < PIPELINED
        if followed:
            parts[-1] += shots.make().data
        status, ran = await target.send(parts)
        allowed = oracle.allowed(shot)
        report.requests += 1
        report.statuses[status] += 1
        report.ran += len(ran)
        report.routes.update(name for name, _ in ran)
        if ran and (len(ran) != 1 or ran[0] != allowed or status != 200):
            report.wrong.append((shot.data, ran, allowed))
        elif not ran and (status == 200 or status >= 500):
            report.wrong.append((shot.data, status, allowed))
        elif followed and status == 0:
            pass  # it said that it is the last of its connection, and it was not
        elif not ran and allowed is not None and status != 400:
            report.refused.append((shot.data, status, allowed))
    return report


def main() -> int:
    """Print what came of it; fail if anything ran that was not allowed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    began = time.process_time()
    report = asyncio.run(fuzz(asked.requests, asked.seed))
    spent = time.process_time() - began
    print(f"{report.requests} requests in {spent:.1f} CPU seconds, seed {asked.seed}")
    print(f"ran: {report.ran}, of {len(report.routes)} routes; by status: {dict(report.statuses)}")
    print(f"ran what was not allowed: {len(report.wrong)}")
    print(f"refused what was allowed: {len(report.refused)}")
    for row in [*report.wrong, *report.refused][:20]:
        print(row)
    return 1 if report.wrong or report.refused else 0


if __name__ == "__main__":
    sys.exit(main())
