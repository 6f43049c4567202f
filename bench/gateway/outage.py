"""What a database that is away does to a gateway that keeps keys, budgets and books in it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from gateway.load import Client, Kind, Plan, Tally, Watch, offer
from gateway.process import gateway, upstream
from gateway.scenarios import free_port, settings
from postgres import Postgres

_PRICES = """\
currency = "EUR"

[[price]]
model = "bench"
input = "1"
output = "2"
valid_from = 2020-01-01
"""
_BOOKED = b"SELECT id FROM usage_events"
_AUDITED = b"SELECT id FROM audit WHERE subject LIKE 'model:%'"
_LOST = b"SELECT id FROM usage_events WHERE flags LIKE '%lost%'"
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What became of the requests, and of what is known of them."""

    tally: Tally
    unbooked: int
    """Answers without a usage event in the database at the end."""
    unaudited: int
    """Answers without an audit event."""
    lost: int
    """Usage events that are only known from a reservation."""
    recovered_s: float
    """From the start of the database until it knew everything."""
    down: float
    """Readings of the metrics that said so, while it was away."""


def outage(
    folder: Path, server: Postgres, *, per_s: float, before_s: float, away_s: float
) -> Outage:
    """Stop the database of a gateway under load, and start it again."""
    folder.mkdir(exist_ok=True)
    (folder / "prices.toml").write_text(_PRICES)
    store = f'[store]\nurl = "{server.dsn}"\n'
    limits = '[server.limits."team:*"]\nrequests_per_minute = 1_000_000\n'
    books = f"{store}[books]\nprices = 'prices.toml'\n{limits}"

    def lockgate(*arguments: str) -> str:
        config = folder / "lockgate.toml"
        config.write_text(f"task_folders = []\n{books}")
        done = subprocess.run(
            [sys.executable, "-m", "lockgate", "--config", str(config), *arguments],
            env={**os.environ, "LOCKGATE_STATE_DIR": str(folder / "state")},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    key = lockgate(
        "token",
        "new",
        "bench",
        "--team",
        "shop",
        "--scope",
        "model:*",
        "--role",
        "caller",
        "--role",
        "auditor",
    )
    lockgate("budget", "set", "team:shop", "1000", "--per", "month")
    with upstream(64, 0.02) as model:
        port = free_port()
        with gateway(folder, port, settings(model, books)):
            kind = Kind("all", 1.0, 5.0, f"authorization: Bearer {key}\r\n")
            measuring = _measure(port, server, kind, per_s=per_s, before_s=before_s, away_s=away_s)
            tally, down, started_at = asyncio.run(measuring)
            answered = set(tally.answered)
            _until(lambda: not answered - _ids(server, _BOOKED))
            _until(lambda: not answered - _ids(server, _AUDITED))
            recovered_s = time.perf_counter() - started_at
    return Outage(
        tally=tally,
        unbooked=len(answered - _ids(server, _BOOKED)),
        unaudited=len(answered - _ids(server, _AUDITED)),
        lost=len(_ids(server, _LOST)),
        recovered_s=recovered_s,
        down=down,
    )


async def _measure(
    port: int, server: Postgres, kind: Kind, *, per_s: float, before_s: float, away_s: float
) -> tuple[Tally, float, float]:
    client, watch = Client(port), Watch(Client(port), 0.2, kind.headers)
    watching = asyncio.create_task(watch.run())
    load = asyncio.create_task(offer(client, [kind], Plan(per_s, 2 * before_s + away_s)))
    await asyncio.sleep(before_s)
    await asyncio.to_thread(server.stop)
    await asyncio.sleep(away_s)
    await asyncio.to_thread(server.start)
    started_at = time.perf_counter()
    tally = await load
    watching.cancel()
    client.close()
    watch.client.close()
    down = sum(page.get("lockgate_shared_state_up") == 0.0 for _, page in watch.pages)
    return tally, down, started_at


def _until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not true() and time.monotonic() < until:
        time.sleep(0.05)


def _ids(server: Postgres, query: bytes) -> set[str]:
    with psycopg.connect(server.dsn) as connection:
        return {row[0] for row in connection.execute(query)}
