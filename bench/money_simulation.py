"""Replicas on one PostgreSQL, many clients, `kill -9` at random: looks for money that is wrong.

Three witnesses that do not trust each other: the upstream's own log of what each call did cost
(also of calls whose replica died while it waited), the clients' log of what was acknowledged to
them, and the ledger. See `python bench/money_simulation.py run --help`.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import psycopg.sql

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from lockgate.app.books import open_books
from lockgate.books.budgets import Budgets
from lockgate.books.keeper import adopt
from lockgate.domain.audit import Entry, verify
from lockgate.domain.budget import Budget, Period, UsageEvent
from lockgate.domain.money import TokenCounts
from lockgate.errors import LockgateError, OverBudget, StorageFailed
from lockgate.store.postgres import open_postgres
from postgres import running_postgres

KEYS = 8
DEAREST = 1000


def now() -> datetime:
    return datetime.now(UTC)


def append(path: Path) -> Callable[[str], None]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return lambda line: _write(file, line)


def _write(file: int, line: str) -> None:
    os.write(file, f"{line}\n".encode())


def wait_for(ready: Callable[[], bool], most_s: float = 30) -> None:
    """Wait until something is so."""
    until = time.monotonic() + most_s
    while not ready():
        assert time.monotonic() < until, "it never became so"
        time.sleep(0.005)


async def client(
    budgets: Budgets, number: int, chance: random.Random, logs: Path, stopping: asyncio.Event
) -> None:
    """Call, again and again, an upstream that says what it cost before it answers."""
    upstream, acknowledge = append(logs / "upstream"), append(logs / "acknowledged")
    key = f"k{number % KEYS}"
    accounts = ("team:shop", f"key:{key}", "task:review")
    while not stopping.is_set():
        cost = chance.randint(1, DEAREST)
        worst = UsageEvent(
            id=uuid.uuid4().hex,
            at=now(),
            key=key,
            team="shop",
            task="review",
            model="m",
            counts=TokenCounts(output_tokens=DEAREST),
            nanos=DEAREST,
        )
        try:
            held = budgets.reserve(accounts, worst) or await budgets.acquire(accounts, worst)
        except OverBudget:
            await asyncio.sleep(0.02)
            continue
        except (StorageFailed, LockgateError):
            await asyncio.sleep(0.05)
            continue
        if chance.random() < 0.02:
            budgets.release(held)
            continue
        await asyncio.sleep(chance.random() * 0.01)
        upstream(f"{worst.id} {key} {cost}")
        await asyncio.sleep(chance.random() * 0.01)
        event = UsageEvent(
            id=worst.id,
            at=worst.at,
            key=key,
            team="shop",
            task="review",
            model="m",
            counts=TokenCounts(output_tokens=cost),
            nanos=cost,
        )
        budgets.settle(held, event)
        acknowledge(f"{worst.id} {cost}")


async def replica(dsn: str, root: Path, clients: int, seed: int) -> None:
    """One gateway process: ends in order on SIGTERM, or whenever it is killed."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    complain = append(root / "complaints")

    def failed(error: LockgateError) -> None:
        complain(f"{error.code} {error.message}")

    with open_books(lambda: open_postgres(dsn), root / "spool", clock=now, failed=failed) as books:
        await asyncio.to_thread(wait_for, lambda: books.budgets.is_loaded)
        (root / f"ready-{seed}").touch()
        audit_log = append(root / "audited")

        async def audited() -> None:
            while not stopping.is_set():
                name = uuid.uuid4().hex
                entry = Entry(id=name, at=now(), actor="a", action="call", subject="s", detail={})
                books.audit(entry)
                audit_log(name)
                await asyncio.sleep(0.01)

        work = [
            client(books.budgets, n, random.Random(seed * 1000 + n), root, stopping)
            for n in range(clients)
        ]
        await asyncio.gather(audited(), *work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the three witnesses say. `overshoot`, `lost`, `doubled` and `free` must be 0."""

    seconds: float
    kills: int
    calls: int
    limit: int
    upstream: int
    ledger: int
    overshoot: int
    exhausted: int
    """Budgets of which at most a twentieth is left."""
    lost: int
    wrong: int
    doubled: int
    free: int
    unknown_outcome: int
    open_leases: int
    still_lent: int
    audit_lost: int
    audit_events: int
    complaints: int
    """Failures of the database that replicas lived through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much, for how long."""

    seconds: float = 60
    replicas: int = 4
    clients: int = 64
    limit: int = 20_000_000
    seed: int = 1
    outage: float = 0.0
    """Seconds for which, after a third of the time, the database refuses everybody."""


class Database:
    """Lets the database refuse everybody for a while: its own connections go to another one."""

    def __init__(self, dsn: str) -> None:
        self._name = dsn.rpartition("/")[2]
        self._admin = dsn.removesuffix(self._name) + "template1"
        self._is_away = False

    def set(self, *, away: bool) -> None:
        if away == self._is_away:
            return
        self._is_away = away
        with psycopg.connect(self._admin, autocommit=True) as admin:
            name = psycopg.sql.Identifier(self._name)
            allow = psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            admin.execute(allow.format(name, psycopg.sql.Literal(not away)))
            if away:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [self._name],
                )


def simulate(dsn: str, root: Path, load: Load) -> Report:
    """Run, kill, wind up, and compare."""
    root.mkdir(parents=True, exist_ok=True)
    asyncio.run(_set_limits(dsn, load.limit))
    chance = random.Random(load.seed)

    def start(number: int) -> subprocess.Popen[bytes]:
        arguments = ["replica", dsn, str(root), str(load.clients), str(number)]
        return subprocess.Popen([sys.executable, __file__, *arguments])

    running = [start(n) for n in range(load.replicas)]
    numbers = list(range(load.replicas))
    for n in numbers:
        wait_for((root / f"ready-{n}").exists)
    began, kills = time.monotonic(), 0
    database = Database(dsn)
    while time.monotonic() < began + load.seconds:
        passed = time.monotonic() - began - load.seconds / 3
        database.set(away=0 < passed < load.outage)
        time.sleep(chance.uniform(0.1, 0.5))
        victim = chance.randrange(load.replicas)
        running[victim].kill()
        running[victim].wait()
        kills += 1
        numbers[victim] = load.replicas + kills
        running[victim] = start(numbers[victim])
    database.set(away=False)
    for n in numbers:
        wait_for((root / f"ready-{n}").exists)
    for process in running:
        process.terminate()
    for process in running:
        assert process.wait(60) == 0, "a replica did not end in order"
    asyncio.run(_adopt(dsn, root))
    return asyncio.run(_compare(dsn, root, load.limit, kills, time.monotonic() - began))


async def _set_limits(dsn: str, limit: int) -> None:
    async with open_postgres(dsn) as state, state.begin() as unit:
        await unit.budgets.put(Budget(account="team:shop", period=Period.MONTH, nanos=limit))
        for n in range(KEYS):
            share = limit // 4 if n % 2 else limit // 32
            await unit.budgets.put(Budget(account=f"key:k{n}", period=Period.DAY, nanos=share))


async def _adopt(dsn: str, root: Path) -> None:
    def failed(error: LockgateError) -> None:
        raise error

    async with open_postgres(dsn) as state:
        await adopt(root / "spool", state, clock=now, failed=failed)
        assert list((root / "spool").glob("[!.]*")) == []


async def _compare(dsn: str, root: Path, limit: int, kills: int, seconds: float) -> Report:
    async with open_postgres(dsn) as state, state.begin() as unit:
        events = await unit.usage.events(since=datetime.min.replace(tzinfo=UTC), limit=10**9)
        balances = await unit.budgets.balances()
        leases = await unit.budgets.leases()
        limits = {budget.account: budget.nanos for budget in await unit.budgets.all()}
        chain = await unit.events(limit=10**9)
        verify(chain, await unit.head())
    upstream = {n: (key, int(cost)) for n, key, cost in _lines(root / "upstream")}
    acknowledged = {name: int(cost) for name, cost in _lines(root / "acknowledged")}
    ledger = {event.id: event for event in events}
    spent: Counter[str] = Counter()
    for key, cost in upstream.values():
        spent[f"key:{key}"] += cost
        spent["team:shop"] += cost
    booked: Counter[str] = Counter()
    for event in events:
        booked[f"key:{event.key}"] += event.nanos
        booked["team:shop"] += event.nanos
    audited = [name for (name,) in _lines(root / "audited")]
    chained = Counter(event.entry.id for event in chain)
    complaints = root / "complaints"
    return Report(
        seconds=round(seconds, 1),
        kills=kills,
        calls=len(upstream),
        limit=limit,
        upstream=spent["team:shop"],
        ledger=booked["team:shop"],
        overshoot=sum(
            max(0, spent[account] - most) + max(0, booked[account] - most)
            for account, most in limits.items()
        ),
        exhausted=sum(booked[account] > 0.95 * most for account, most in limits.items()),
        lost=len(acknowledged.keys() - ledger.keys()),
        wrong=sum(ledger[n].nanos != c for n, c in acknowledged.items() if n in ledger),
        doubled=len(events) - len(ledger),
        free=len(upstream.keys() - ledger.keys()),
        unknown_outcome=sum("lost" in event.flags for event in events),
        open_leases=len(leases),
        still_lent=sum(balance.lent - balance.spent for balance in balances),
        audit_lost=len(set(audited) - chained.keys()) + sum(n - 1 for n in chained.values()),
        audit_events=len(chain),
        complaints=len(complaints.read_text().splitlines()) if complaints.exists() else 0,
    )


def _lines(path: Path) -> list[list[str]]:
    return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("replica")
    for name, kind in (("dsn", str), ("root", Path), ("clients", int), ("seed", int)):
        one.add_argument(name, type=kind)
    run = commands.add_parser("run")
    run.add_argument("root", type=Path)
    for field in fields(Load):
        run.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    given = parser.parse_args()
    if given.command == "replica":
        asyncio.run(replica(given.dsn, given.root, given.clients, given.seed))
        return
    load = Load(**{field.name: getattr(given, field.name) for field in fields(Load)})
    with running_postgres() as dsn:
        report = simulate(dsn, given.root, load)
    print(json.dumps(asdict(report), indent=2))


if __name__ == "__main__":
    main()
