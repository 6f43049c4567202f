"""What overload, a failing upstream and a database that is away do to a real gateway process."""

import asyncio
import json
import math
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.load import Client, Kind, Plan, Tally, Watch, offer
from gateway.process import gateway, upstream

WORKERS, SECONDS = 16, 0.1
CAPACITY = WORKERS / SECONDS
"""Answers a second."""
WAITING, WAITING_TOKENS = 200, 100_000
KINDS = (
    Kind("high", 0.2, 2.0, "x-lockgate-deadline-ms: 2000\r\n"),
    Kind("online", 0.5, 2.0, "x-lockgate-priority: 0\r\nx-lockgate-deadline-ms: 2000\r\n"),
    Kind("batch", 0.3, 10.0, "x-lockgate-class: batch\r\nx-lockgate-deadline-ms: 10000\r\n"),
)
_QUEUE = '{{upstream="model",klass="{klass}"}}'
_QUEUES = tuple(
    f"lockgate_queue_{what}{_QUEUE.format(klass=klass)}"
    for what in ("requests", "tokens")
    for klass in ("online", "batch")
)
_OPEN = 'lockgate_breaker_open{upstream="model"}'
_RETRIES = 'lockgate_retries_total{upstream="model"}'


def settings(port: int, more: str = "", limits: str = "") -> str:
    """Return the configuration of a gateway in front of one model server."""
    return (
        f'{more}\n[backends.model]\nkind = "openai"\nurl = "http://127.0.0.1:{port}/v1"\n'
        'data_classes = ["public", "internal"]\nmodels = { bench = "bench" }\n'
        f"[backends.model.queue]\nrequests = {WAITING}\ntokens = {WAITING_TOKENS}\n{limits}"
    )


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True, kw_only=True)
class Overloaded:
    """What became of too much load."""

    goodput: float
    """Answers a second, in time."""
    tally: Tally
    most_waiting: float
    most_tokens: float

    def in_time(self, kind: str) -> float:
        """Return the share of a kind that was answered in time."""
        return self.tally.in_time[kind] / max(1, self.tally.asked[kind])


def overloaded(
    folder: Path, *, seconds: float, warm_up_s: float, concurrency: int | None, times: float = 3.0
) -> Overloaded:
    """Offer several times what the upstream can do."""

    async def measure(port: int) -> Overloaded:
        client, watch = Client(port), Watch(Client(port), 0.05)
        watching = asyncio.create_task(watch.run())
        plan = Plan(times * CAPACITY, warm_up_s + seconds, warm_up_s)
        tally = await offer(client, KINDS, plan)
        watching.cancel()
        client.close()
        watch.client.close()
        return Overloaded(
            goodput=sum(tally.in_time.values()) / seconds,
            tally=tally,
            most_waiting=watch.most(*_QUEUES[:2]),
            most_tokens=watch.most(*_QUEUES[2:]),
        )

    urgent = '[server.urgency."team:local"]\npriority = 5'
    limits = "" if concurrency is None else f"[backends.model.limits]\nconcurrency = {concurrency}"
    with upstream(WORKERS, SECONDS) as model:
        port = free_port()
        with gateway(folder, port, settings(model, urgent, limits)):
            return asyncio.run(measure(port))


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """What became of an upstream that failed half its requests for a while."""

    tally: Tally
    retries: float
    opened_after_s: float
    closed_after_s: float


def half_failing(
    folder: Path, *, per_s: float, before_s: float, failing_s: float, after_s: float = 10.0
) -> Broken:
    """Let the upstream fail half its requests, and repair it; end once it is asked again."""

    async def measure(model: int, port: int) -> Broken:
        client, control, watch = Client(port), Client(model, "/control"), Watch(Client(port), 0.02)
        watching = asyncio.create_task(watch.run())
        total_s = before_s + failing_s + after_s
        stop = asyncio.Event()
        load = asyncio.create_task(offer(client, KINDS[:1], Plan(per_s, total_s), stop))
        await asyncio.sleep(before_s)
        failed_at = time.perf_counter()
        await control.ask(body=json.dumps({"fail": 0.5}).encode())
        await asyncio.sleep(failing_s)
        await control.ask(body=json.dumps({"fail": 0.0}).encode())
        repaired_at = time.perf_counter()
        while not load.done() and math.isinf(watch.first(_OPEN, 0.0, repaired_at)):
            await asyncio.wait((load,), timeout=0.05)
        stop.set()
        tally = await load
        watching.cancel()
        last = await watch.read()
        for one in (client, control, watch.client):
            one.close()
        return Broken(
            tally=tally,
            retries=last.get(_RETRIES, 0.0),
            opened_after_s=watch.first(_OPEN, 1.0, failed_at),
            closed_after_s=watch.first(_OPEN, 0.0, repaired_at),
        )

    with upstream(64, 0.02) as model:
        port = free_port()
        with gateway(folder, port, settings(model)):
            return asyncio.run(measure(model, port))
