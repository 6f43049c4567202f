"""What a request costs the gateway, part by part, in microseconds of CPU.

The gateway as `bench/gateway/run.py` configures it, in this process and without sockets: requests
are put into its protocol, and its upstream answers at once. So what is left is our own code, and
the figures are steady on a busy machine: the CPU time of the process, all its threads included,
as the least of many short runs. A part costs what is saved where it alone is turned off.
usage: python bench/gateway_cost.py [--profile] [NAME ...]
"""

import asyncio
import cProfile
import gc
import hashlib
import json
import os
import pstats
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import uvloop

from gateway import targets
from lockgate.app.gateway import Gateway, open_gateway
from lockgate.app.gateway_models import UpstreamModel
from lockgate.app.spending import set_budget
from lockgate.app.state import open_store
from lockgate.config.environment import Environment
from lockgate.config.load import load
from lockgate.domain.budget import Budget, Period
from lockgate.server.build import build
from lockgate.server.protocol import Edge
from lockgate.upstream.connection import Connection
from lockgate.upstream.limits import Limits
from lockgate.upstream.pool import Pool

CONNECTIONS = 16
REQUESTS = 400
"""In one run: enough that the books' thread has its share in each."""
RUNS = 40
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1780000000,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Exit code 137 is SIGKILL: out of memory. Run kubectl describe pod "
                    "api-7c9d and raise limits.memory.",
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 61, "completion_tokens": 29, "total_tokens": 90},
    }
).encode()
_REPLY = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"server: model\r\n\r\n%b" % (len(ANSWER), ANSWER)
)
ACCOUNTS = ("team:default", "key:bench")
_LIMITS = targets.ALL_ON[targets.ALL_ON.index("[server.limits") : targets.ALL_ON.index("[server.c")]
_CACHE = "[server.cache]\nttl_s = 0.3\n"
_TRACING = targets.ALL_ON[targets.ALL_ON.index("[server.tr") : targets.ALL_ON.index("[books]")]
_PRICES = '[books]\nprices = "prices.toml"\n'
_GUARDS = 'secrets = "redact"\npersonal = "redact"\n'
_NO_GUARDS = 'secrets = "off"\ncanary = "off"\n'


def variants() -> dict[str, tuple[str, str]]:
    """Return the settings of each row, and the body that is sent."""
    everything = targets.ALL_ON
    return {
        "everything": (everything, "prompt"),
        "limits": (everything.replace(_LIMITS, ""), "prompt"),
        "cache": (everything.replace(_CACHE, ""), "prompt"),
        "tracing": (everything.replace(_TRACING, ""), "prompt"),
        "guards": (everything.replace(_GUARDS, _NO_GUARDS), "prompt"),
        "audit": ("record_calls = false\n" + everything, "prompt"),
        "audit and money": (
            "record_calls = false\n" + everything.replace(_PRICES, ""),
            "prompt",
        ),
        "bare, 4 KB": (targets.BARE, "prompt"),
        "bare": (targets.BARE, "short"),
    }


Cost: TypeAlias = tuple[float, float, float]
"""CPU us on the loop's thread, and on others; how often a thread had to wait for another."""


class Line:
    """A transport without a socket: what is written goes to a function, at the loop's next turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wrote: Callable[[bytes], None]) -> None:
        self._loop, self._wrote = loop, wrote
        self.closed = False

    def write(self, data: bytes) -> None:
        self._loop.call_soon(self._wrote, data)

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name in {"peername", "sockname"} else None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Offline(Pool):
    """A pool whose connections lead to an upstream in this process."""

    async def _dial(self) -> Connection:
        connection = Connection(self._pinned.name, self._limits, self._loop, self._cork)
        line = Line(self._loop, lambda _: connection.data_received(_REPLY))
        connection.connection_made(line)
        self._all.add(connection)
        return connection


class State:
    """What uvicorn keeps of all connections."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self.tasks: set[Any] = set()
        self.total_requests = 0
        self.default_headers: list[tuple[bytes, bytes]] = []


class Clients:
    """Some connections, each of which asks again as soon as it is answered."""

    def __init__(self, edge: Edge, request: bytes) -> None:
        self._loop = asyncio.get_running_loop()
        self._before, _, self._after = request.partition(targets.MARK.encode())
        self._number = 0
        self._left = 0
        self._running = 0
        self._done = self._loop.create_future()
        self._open: list[Any] = []
        for _ in range(CONNECTIONS):
            protocol = edge(None, State(), None, self._loop)
            protocol.connection_made(Line(self._loop, partial(self._got, protocol)))
            self._open.append(protocol)

    async def run(self, count: int) -> None:
        """Send some requests, and wait for the answers."""
        self._left, self._done = count, self._loop.create_future()
        for protocol in self._open:
            self._next(protocol)
        await self._done

    def _got(self, protocol: Any, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"not an answer: {data[:500]!r}")
        self._running -= 1
        self._next(protocol)

    def _next(self, protocol: Any) -> None:
        if self._left:
            self._left -= 1
            self._running += 1
            self._number += 1
            protocol.data_received(b"%b%08d%b" % (self._before, self._number, self._after))
        elif not self._running and not self._done.done():
            self._done.set_result(None)


async def cost(folder: Path, settings: str, body: bytes, *, profile: bool) -> Cost:
    """Return what a request costs."""
    loaded = load(_configured(folder, settings), start=folder)
    environment = Environment.read(
        {"LOCKGATE_STATE_DIR": str(folder / "state"), "LOCKGATE_DATA_DIR": str(folder)}
    )
    async with open_store(loaded, environment) as state:
        for account in ACCOUNTS:
            budget = Budget(account=account, period=Period.MONTH, nanos=10**15)
            await set_budget(state, budget, actor="bench", now=datetime.now(UTC))
    async with open_gateway(loaded, environment) as gateway:
        while not gateway.ready():  # noqa: ASYNC110  another thread brings it about
            await asyncio.sleep(0.01)
        built = build(_offline(gateway), ready=lambda: "")
        edge = Edge(app=built.application, cork=gateway.controls.cork)
        clients = Clients(edge, _request(body))
        await clients.run(4 * REQUESTS)
        if profile:
            await _profile(clients)
        found = [await _once(clients) for _ in range(RUNS)]
        await asyncio.to_thread(built.close)
    quick = sorted(found, key=lambda one: one[0] + one[1])[: RUNS // 4]
    loop, others, switches = (statistics.fmean(column) for column in zip(*quick, strict=True))
    return loop, others, switches


async def _once(clients: Clients) -> Cost:
    process, thread, switches = time.process_time(), time.thread_time(), _switches()
    await clients.run(REQUESTS)
    thread = time.thread_time() - thread
    process = time.process_time() - process
    switches = _switches() - switches
    return thread / REQUESTS * 1e6, (process - thread) / REQUESTS * 1e6, switches / REQUESTS


def _switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


async def _profile(clients: Clients) -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    await clients.run(10 * REQUESTS)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(60)


def _configured(folder: Path, settings: str) -> Path:
    target = targets.gateway(folder, "one", 1, settings)
    assert target.state is not None, "it is ours"
    place = target.state.parent
    (place / "prices.toml").write_text(targets.PRICES)
    return place / "lockgate.toml"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _offline(gateway: Gateway) -> Gateway:
    models = {
        name: replace(model, client=_of(model.client, gateway))
        for name, model in gateway.models.items()
        if isinstance(model, UpstreamModel) and isinstance(model.client, Pool)
    }
    return replace(gateway, models=models)


def _of(pool: Pool, gateway: Gateway) -> Offline:
    pinned = pool._pinned  # noqa: SLF001
    return Offline(pinned, limits=Limits(connections=64), cork=gateway.controls.cork)


def _request(body: bytes) -> bytes:
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:9421\r\n"
        b"Authorization: Bearer %b\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (targets.KEY.encode(), len(body), body)
    )


def main() -> None:
    profile = "--profile" in sys.argv
    names = [name for name in sys.argv[1:] if not name.startswith("--")]
    gc.set_threshold(100_000)  # as the program does
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory() as temporary:
        bodies = targets.bodies(Path(temporary), "bench")
        for number, (name, (settings, body)) in enumerate(variants().items()):
            if names and name not in names:
                continue
            folder = Path(temporary) / f"part{number}"
            folder.mkdir()
            text = settings.format(digest=_digest(targets.KEY), watch=_digest("watch"), port=9)
            found[name] = uvloop.run(cost(folder, text, bodies[body].read_bytes(), profile=profile))
            _say(name, found)


def _say(name: str, found: dict[str, Cost]) -> None:
    loop, others, switches = found[name]
    whole = found.get("everything")
    is_part = whole is not None and name != "everything" and not name.startswith("bare")
    title = f"without {name}" if is_part else name
    line = f"{title:26} {loop + others:6.1f} us  (loop {loop:6.1f}, other threads {others:5.1f}, "
    line += f"switches {switches:4.2f})"
    if is_part and whole is not None:
        line += f"  costs {whole[0] + whole[1] - loop - others:6.1f}"
    print(line, flush=True)


if __name__ == "__main__":
    main()
