#!/usr/bin/env python3
"""Ask three times too much of a simulated gateway, break its upstream, and print what it did.

usage: bench/overload.py [SECONDS] [SEED]

The pieces are the real ones; time, clients and upstreams are simulated. Exit status 1: a goal is
missed. The goals: of the high-priority requests at least 99 % are answered within their deadline,
goodput is at least 90 % of capacity, the queue never exceeds its bound, batch work keeps its share;
with an upstream that fails half its calls, retries are at most 10 % of the requests, the breaker
opens within 1 s, and closes within 5 s of the upstream's recovery.
"""

import asyncio
import random
import sys
from collections import Counter
from dataclasses import dataclass, field

import virtual_time
from lockgate.errors import Overloaded, Unavailable
from lockgate.traffic.breaker import Breaker, BreakerSettings, BreakerState
from lockgate.traffic.concurrency import AdaptiveConcurrency, Concurrency, FixedConcurrency
from lockgate.traffic.lane import Klass
from lockgate.traffic.queue import Queue, QueueSettings
from lockgate.traffic.retry_budget import RetryBudget

WORKERS, TOKENS_PER_S = 16, 500.0
"""The upstream: so many requests at a time, each at that speed."""
CAPACITY = WORKERS * TOKENS_PER_S
OVERLOAD = 3.0
MEAN_TOKENS = 400
WARM_UP_S = 20.0
SETTINGS = QueueSettings(most_tokens=40_000, most_waiting=400, batch_share=0.1)


@dataclass(frozen=True, slots=True)
class Kind:
    """A part of the load."""

    name: str
    share: float
    """Of the tokens asked for."""
    klass: Klass
    priority: int
    within_s: float


KINDS = (
    Kind("high", 0.2, Klass.ONLINE, 1, 5.0),
    Kind("online", 0.5, Klass.ONLINE, 0, 5.0),
    Kind("batch", 0.3, Klass.BATCH, 0, 60.0),
)


@dataclass(slots=True)
class Tally:
    """What became of the requests."""

    asked: Counter[str] = field(default_factory=Counter)
    in_time: Counter[str] = field(default_factory=Counter)
    shed: Counter[str] = field(default_factory=Counter)
    good_tokens: Counter[str] = field(default_factory=Counter)
    most_tokens: int = 0
    most_waiting: int = 0


async def overload(concurrency: Concurrency, seconds: float, seed: int) -> Tally:
    """Send three times the capacity at random moments for that long."""
    source = random.Random(seed)
    queue = Queue(concurrency, SETTINGS, clock=virtual_time.now)
    upstream = asyncio.Semaphore(WORKERS)
    tally = Tally()
    end = WARM_UP_S + seconds

    async def request(kind: Kind, tokens: int) -> None:
        came = virtual_time.now()
        counted = WARM_UP_S <= came < end - kind.within_s
        tally.asked[kind.name] += counted
        try:
            deadline = came + kind.within_s
            async with queue.slot(tokens, kind.klass, deadline, priority=kind.priority), upstream:
                await asyncio.sleep(tokens / TOKENS_PER_S * source.uniform(0.8, 1.2))
        except Overloaded:
            tally.shed[kind.name] += counted
            return
        done = virtual_time.now()
        if done <= came + kind.within_s:
            tally.in_time[kind.name] += counted
            if WARM_UP_S <= done < end:
                tally.good_tokens[kind.name] += tokens

    async with asyncio.TaskGroup() as group:
        while virtual_time.now() < end:
            await asyncio.sleep(source.expovariate(OVERLOAD * CAPACITY / MEAN_TOKENS))
            (kind,) = source.choices(KINDS, [kind.share for kind in KINDS])
            tokens = max(20, min(1500, round(source.expovariate(1 / MEAN_TOKENS))))
            group.create_task(request(kind, tokens))
            await asyncio.sleep(0)
            tally.most_tokens = max(tally.most_tokens, queue.waiting_tokens)
            tally.most_waiting = max(tally.most_waiting, queue.waiting)
    return tally


@dataclass(slots=True)
class Broken:
    """What became of an upstream that failed for a while."""

    requests: int = 0
    retries: int = 0
    opened_after_s: float | None = None
    closed_after_s: float | None = None
    sent_while_failing: int = 0

    def see(self, now: float, state: BreakerState) -> None:
        closed = state is BreakerState.CLOSED
        if now >= 30 and self.opened_after_s is None and not closed:
            self.opened_after_s = now - 30
        if now >= 60 and self.closed_after_s is None and closed:
            self.closed_after_s = now - 60


async def half_failing(per_s: float, seed: int) -> Broken:
    """Let an upstream fail half its calls from second 30 to second 60 of 90."""
    source = random.Random(seed)
    clock = virtual_time.now
    breaker, budget = Breaker(BreakerSettings(), clock=clock), RetryBudget()
    found = Broken()

    async def call() -> None:
        if not breaker.allow():
            raise Unavailable("the circuit is open")
        began = clock()
        failing = 30 <= began < 60
        found.sent_while_failing += failing
        await asyncio.sleep(source.uniform(0.02, 0.08))
        ok = not (failing and source.random() < 0.5)
        breaker.record(ok, clock() - began)
        if not ok:
            raise Unavailable("the upstream failed")

    async def request() -> None:
        budget.attempted()
        found.requests += 1
        for _ in range(3):
            try:
                await call()
            except Unavailable:
                if breaker.state is BreakerState.OPEN or not budget.may_retry():
                    return
                found.retries += 1
            else:
                return

    async with asyncio.TaskGroup() as group:
        while clock() < 90:
            await asyncio.sleep(source.expovariate(per_s))
            group.create_task(request())
            found.see(clock(), breaker.state)
    return found


def show(what: str, value: float, *, goal: str, met: bool) -> bool:
    print(f"  {what:<44} {value:>10.3f}   {goal:<12} {'' if met else 'MISSED'}")
    return met


def report_overload(name: str, tally: Tally, seconds: float) -> bool:
    print(f"{OVERLOAD:g} x capacity, {name} concurrency")
    high = tally.in_time["high"] / tally.asked["high"]
    goodput = sum(tally.good_tokens.values()) / (seconds * CAPACITY)
    batch = tally.good_tokens["batch"] / sum(tally.good_tokens.values())
    most = tally.most_tokens / SETTINGS.most_tokens
    met = [
        show("high priority within its deadline", high, goal=">= 0.99", met=high >= 0.99),
        show("goodput / capacity", goodput, goal=">= 0.90", met=goodput >= 0.9),
        show("longest queue / bound", most, goal="<= 1", met=most <= 1),
        show(
            "waiting requests, most",
            tally.most_waiting,
            goal="<= 400",
            met=tally.most_waiting <= 400,
        ),
        show("batch share of the tokens served", batch, goal=">= 0.09", met=batch >= 0.09),
    ]
    for kind in KINDS:
        asked = tally.asked[kind.name]
        shed, in_time = tally.shed[kind.name] / asked, tally.in_time[kind.name] / asked
        print(f"    {kind.name:<8} asked {asked:>6}  shed {shed:.3f}  in time {in_time:.3f}")
    return all(met)


def report_broken(per_s: float, found: Broken) -> bool:
    print(f"an upstream fails half its calls for 30 s, {per_s:g} requests/s")
    share = found.retries / found.requests
    opened = float("inf") if found.opened_after_s is None else found.opened_after_s
    closed = float("inf") if found.closed_after_s is None else found.closed_after_s
    print(f"    {found.sent_while_failing} calls sent to it meanwhile")
    return all(
        [
            show("retries / requests", share, goal="<= 0.10", met=share <= 0.1),
            show("breaker opens after, s", opened, goal="<= 1", met=opened <= 1),
            show("breaker closes after, s", closed, goal="<= 5", met=closed <= 5),
        ]
    )


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    met = []
    kinds: dict[str, Concurrency] = {
        "fixed": FixedConcurrency(WORKERS),
        "adaptive": AdaptiveConcurrency(tolerance=1.5),
    }
    for name, concurrency in kinds.items():
        tally = virtual_time.run(overload(concurrency, seconds, seed))
        met.append(report_overload(name, tally, seconds))
    met += [
        report_broken(per_s, virtual_time.run(half_failing(per_s, seed))) for per_s in (50.0, 200.0)
    ]
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
