"""An application on a free port of loopback, in a thread of its own, with a fake engine."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ledgers import now
from lockgate.app.gateway import Gateway
from lockgate.app.gateway_access import ConfiguredKeys, LocalCaller
from lockgate.app.gateway_admin import StateBridge, open_bridge
from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_models import ServedModel, UpstreamModel
from lockgate.app.gateway_observed import Observation, Observer
from lockgate.app.moves import Move
from lockgate.app.promotion import Outcome
from lockgate.app.task_billing import Payer
from lockgate.app.task_calls import OnceCalls
from lockgate.config.gateway_settings import ServerKey, ServerSettings
from lockgate.config.load import Loaded
from lockgate.config.settings import Config
from lockgate.domain.call import Answer, Call, DataClass, EngineKind
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.policy import authorise
from lockgate.domain.usage import Usage
from lockgate.errors import InvalidInput, LockgateError, NotFound, Unavailable
from lockgate.ports import Task
from lockgate.server.build import build
from lockgate.server.protocol import Edge, EdgeLimits
from lockgate.store.sqlite import open_sqlite
from lockgate.tasks.review.task import Review
from lockgate.upstream.address import pin
from lockgate.upstream.limits import Limits
from lockgate.upstream.pool import Pool
from upstream.mock_model import MockModel
from waiting import wait_until

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALL = frozenset(DataClass)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@dataclass
class FakeEngine:
    """Answers every task with its input, and keeps what is noted."""

    notes: list[tuple[str, str, str, JsonObject]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list[Call])
    payers: list[Payer] = field(default_factory=list[Payer])
    observers: list[Observer] = field(default_factory=list[Observer])
    cancelled: threading.Event = field(default_factory=threading.Event)
    hold: bool = False
    broken: bool = False
    full: bool = False
    records: bool = True
    waiting: int = 0
    notes_of_models: list[Observation] = field(default_factory=list[Observation])
    """What the next calls of tasks let their observer know."""
    moves: list[Move] = field(default_factory=list[Move])
    outcome: Outcome | None = None
    """What the gate says of each release."""

    async def answer(self, call: Call, payer: Payer, observer: Observer | None = None) -> Answer:
        authorise(call.principal, call.task)
        self.calls.append(call)
        self.payers.append(payer)
        if observer is not None:
            self.observers.append(observer)
            observer.found += self.notes_of_models
        if self.hold:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if self.broken:
            raise RuntimeError("a mistake of ours")
        if "diff" not in call.input:
            raise InvalidInput("the input has no `diff`")
        risk = "high" if "eval" in str(call.input["diff"]) else "low"
        return Answer(
            call=call.id,
            at=NOON,
            task=call.task,
            output={"risk": risk},
            engine=EngineKind.RULES if call.without_models else call.engine,
            degraded=(call.without_models,) if call.without_models else (),
            evidence=(),
            confidence=None,
            release=Digest.of(b"release"),
            usage=Usage(input_tokens=30, output_tokens=10),
        )

    async def move(self, wanted: Move) -> Outcome:
        self.moves.append(wanted)
        if self.outcome is None:
            raise NotFound(f"no release here is `{wanted.release}`")
        return self.outcome

    def refuse_if_full(self) -> None:
        if self.full:
            raise Unavailable("too many events wait")

    def note(self, call: str, actor: str, subject: str, detail: JsonObject) -> None:
        self.notes.append((call, actor, subject, detail))


@dataclass
class Served:
    port: int
    engine: FakeEngine
    edge: Edge
    routes: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[HTTPResponse, Any]:
        """Send one request on a connection of its own; return the answer and its JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, sent, dict(headers or {}))
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        return response, json.loads(data) if is_json else data

    def noted(self) -> tuple[str, str, str, JsonObject]:
        """Wait for the first note: it is made after the answer."""
        wait_until(lambda: bool(self.engine.notes))
        return self.engine.notes[0]

    def wait_for(self, path: str) -> Any:
        """Ask for an accepted call until it has ended."""
        until = time.monotonic() + 5
        while True:
            _, state = self.ask("GET", path)
            if state["status"] != "running" or time.monotonic() > until:
                return state
            time.sleep(0.01)

    def leave(self, data: bytes, *, once: threading.Event) -> None:
        """Send bytes, and leave once something has happened."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            client.sendall(data)
            assert once.wait(10)

    def raw(self, data: bytes, *, wait_s: float = 5.0) -> bytes:
        """Send bytes; return all that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as client:
            client.sendall(data)
            received = b""
            while part := client.recv(65536):
                received += part
            return received


def upstream(name: str, port: int, limits: Limits | None = None) -> UpstreamModel:
    """A model at a server on loopback. Call it in the serving loop."""
    return UpstreamModel(
        name=name,
        upstream="there",
        served=name,
        client=Pool(pin("there", f"http://127.0.0.1:{port}/v1"), limits=limits),
        path="/v1",
        headers=((b"content-type", b"application/json"),),
        data_classes=ALL,
        release=b"sha256:" + b"0" * 64,
        destination=f"127.0.0.1:{port}",
    )


Models = Callable[[], Awaitable[dict[str, ServedModel]]]


async def none() -> dict[str, ServedModel]:
    return {}


def to(mock: MockModel, **more: MockModel) -> Models:
    """The model `m` at one upstream, and each of `more` at another, of another release."""

    async def models() -> dict[str, ServedModel]:
        found: dict[str, ServedModel] = {"m": upstream("m", mock.port)}
        for name, other in more.items():
            found[name] = replace(
                upstream(name, other.port), upstream=f"at-{name}", release=f"of-{name}".encode()
            )
        return found

    return models


@contextmanager
def serving(
    models: Models = none,
    *,
    keys: Mapping[str, ServerKey] | None = None,
    limits: EdgeLimits | None = None,
    settings: ServerSettings | Config | None = None,
    controls: Controls | None = None,
    database: Path | None = None,
) -> Generator[Served]:
    """Serve until the block ends. `database` is a file of SQLite for the admin API."""
    with (
        _bridge(database) as bridge,
        _serving(models, keys, limits, _config(settings, keys or {}), controls, bridge) as served,
    ):
        yield served


def _config(settings: ServerSettings | Config | None, keys: Mapping[str, ServerKey]) -> Config:
    if isinstance(settings, Config):
        return settings
    return Config(server=settings or ServerSettings(keys=keys))


@contextmanager
def _bridge(database: Path | None) -> Generator[StateBridge]:
    if database is None:
        yield StateBridge()
        return
    with open_bridge(lambda: open_sqlite(database), failed=_raise) as bridge:
        wait_until(lambda: bridge.is_open)
        yield bridge


def _raise(error: LockgateError) -> None:
    raise AssertionError(error)


@contextmanager
def _serving(
    models: Models,
    keys: Mapping[str, ServerKey] | None,
    limits: EdgeLimits | None,
    config: Config,
    controls: Controls | None,
    bridge: StateBridge,
) -> Generator[Served]:
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    edge = Edge(limits=limits or EdgeLimits())
    engine = FakeEngine()
    found: dict[str, Any] = {}
    stop = asyncio.Event()
    tasks: dict[str, Task] = {"review": Review()}
    state = SimpleNamespace(
        connections=set(), tasks=set(), default_headers=[(b"date", b"today")], total_requests=0
    )

    async def main() -> None:
        gateway = Gateway(
            settings=config.server,
            loaded=Loaded(config=config, path=None, folder=Path("/")),
            engine=engine,  # type: ignore[arg-type]
            audit=engine,
            controls=controls or Controls(),
            models=await models(),
            tasks=tasks,
            authenticator=ConfiguredKeys(keys) if keys else LocalCaller(),
            keyless=not keys,
            has_prices=(controls or Controls()).billing is not None,
            admin=bridge,
            move=engine.move,
            once=OnceCalls(bridge, clock=now, keep=timedelta(days=1)) if bridge.is_open else None,
        )
        application = build(gateway, ready=lambda: "").application
        edge.app = application
        found["routes"] = application.table.routes
        given = SimpleNamespace(loaded_app=application)
        server = await loop.create_server(lambda: edge(given, state, {}, loop), "127.0.0.1", 0)
        found["port"] = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        for model in gateway.models.values():
            if isinstance(model, UpstreamModel):
                await model.client.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        for protocol in tuple(edge.open):
            protocol.transport.abort()
        await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield Served(found["port"], engine, edge, found["routes"])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
