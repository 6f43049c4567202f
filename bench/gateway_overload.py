"""What a real gateway does under three times its upstream's capacity, and in outages.

usage: PYTHONPATH=bench python bench/gateway_overload.py [--quick] [NAME ...]

NAME is `limit`, `overload`, `failing` or `outage`; without one, all. Exit status 1: a goal is
missed.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from gateway.outage import outage
from gateway.replicas import shared_limit
from gateway.scenarios import (
    CAPACITY,
    KINDS,
    WAITING,
    WAITING_TOKENS,
    WORKERS,
    half_failing,
    overloaded,
)
from postgres import postgres_server


def _show(what: str, value: float, goal: str, *, met: bool) -> bool:
    print(f"  {what:<44} {value:>10.3f}   {goal:<12} {'' if met else 'MISSED'}", flush=True)
    return met


def _overload(folder: Path, *, quick: bool) -> bool:
    met = []
    for name, concurrency in (("found", None), ("fixed", WORKERS)):
        found = overloaded(
            folder / name,
            seconds=10 if quick else 40,
            warm_up_s=5 if quick else 20,
            concurrency=concurrency,
        )
        tally = found.tally
        print(f"3 x capacity ({CAPACITY:.0f}/s), concurrency {name}, {tally.total} requests")
        share, high = found.goodput / CAPACITY, found.in_time("high")
        met += [
            _show("high priority within its deadline", high, ">= 0.99", met=high >= 0.99),
            _show("goodput / capacity", share, ">= 0.90", met=share >= 0.9),
            _show(
                "waiting requests, most",
                found.most_waiting,
                f"<= {WAITING}",
                met=found.most_waiting <= WAITING,
            ),
            _show(
                "waiting tokens, most",
                found.most_tokens,
                f"<= {WAITING_TOKENS}",
                met=found.most_tokens <= WAITING_TOKENS,
            ),
        ]
        for kind in KINDS:
            asked = tally.asked[kind.name]
            shed = tally.statuses[kind.name, 503] / max(1, asked)
            in_time = found.in_time(kind.name)
            print(f"    {kind.name:<8} asked {asked:>6}  shed {shed:.3f}  in time {in_time:.3f}")
        odd = tally.total - tally.of_status(200) - tally.of_status(503)
        met.append(_show("answers that are neither 200 nor 503", odd, "0", met=odd == 0))
    return all(met)


def _failing(folder: Path, *, quick: bool) -> bool:
    met = []
    for per_s in (50.0, 200.0):
        found = half_failing(
            folder / f"at-{per_s:g}",
            per_s=per_s,
            before_s=3 if quick else 10,
            failing_s=5 if quick else 20,
        )
        print(f"an upstream fails half its requests, {per_s:g} requests/s, {found.tally.total}")
        share = found.retries / found.tally.total
        met += [
            _show("retries / requests", share, "<= 0.10", met=share <= 0.1),
            _show(
                "breaker opens after, s",
                found.opened_after_s,
                "<= 1",
                met=found.opened_after_s <= 1,
            ),
            _show(
                "breaker closes after, s",
                found.closed_after_s,
                "<= 5",
                met=found.closed_after_s <= 5,
            ),
        ]
    return all(met)


def _outage(folder: Path, *, quick: bool) -> bool:
    away_s = 10.0 if quick else 60.0
    with postgres_server() as server:
        found = outage(folder / "gateway", server, per_s=100.0, before_s=5.0, away_s=away_s)
    total, answered = found.tally.total, found.tally.of_status(200)
    print(f"PostgreSQL is away for {away_s:g} s, 100 requests/s, {total}; {found.down} readings")
    share = answered / total
    return all(
        [
            _show("requests served", share, ">= 0.999", met=share >= 0.999),
            _show("answers without a usage event", found.unbooked, "0", met=not found.unbooked),
            _show("answers without an audit event", found.unaudited, "0", met=not found.unaudited),
            _show("usage events that are estimates", found.lost, "0", met=not found.lost),
            _show("all known again after, s", found.recovered_s, "", met=True),
        ]
    )


def _limit(folder: Path, *, quick: bool) -> bool:
    met = []
    for name, loads in (("even", (60.0,) * 4), ("skewed", (180.0, 45.0, 9.0, 2.0))):
        place = folder / name
        place.mkdir()
        seconds = 10.0 if quick else 60.0
        found = shared_limit(
            place,
            f"sqlite:{place}/shared.db",
            per_minute=6000,
            burst=0.02,
            loads=loads,
            seconds=seconds,
        )
        print(f"4 replicas share 100 requests/s on SQLite, {name} load, for {seconds:g} s")
        ok = abs(found.error) <= 0.01
        met.append(_show("passed / allowed - 1", found.error, "+- 0.01", met=ok))
    return all(met)


SCENARIOS = {"limit": _limit, "overload": _overload, "failing": _failing, "outage": _outage}


def main() -> None:
    quick = "--quick" in sys.argv
    names = [name for name in sys.argv[1:] if name in SCENARIOS] or list(SCENARIOS)
    with tempfile.TemporaryDirectory() as folder:
        met = []
        for name in names:
            place = Path(folder) / name
            place.mkdir()
            met.append(SCENARIOS[name](place, quick=quick))
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
