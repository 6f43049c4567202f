"""What the gateway is to reach, and whether it did."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.rates import Rates
from gateway.streaming import Streams

DIRECT = "model server, directly"
BARE, ALL_ON = "lockgate", "lockgate, all on"
SENT = 51
"""Events that the model server sends in a stream: 50 with text, and the end."""
_AT = 16
_US_A_MS = 1e3


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a server."""

    ready_s: float
    cpu_s: float
    """What it took of its core until then."""
    idle_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A figure beside what it should be."""

    what: str
    found: float
    wanted: float
    at_least: bool
    accepted: float | None = None
    """What will do where the goal is not reached."""
    unit: str = ""
    by_cpu: float | None = None
    """The same of the CPU that was taken: other programs disturb it less."""

    @property
    def verdict(self) -> str:
        return self._verdict(self.found)

    @property
    def verdict_by_cpu(self) -> str:
        """What the CPU that was taken says; empty if it is not known."""
        return "" if self.by_cpu is None else self._verdict(self.by_cpu)

    def _verdict(self, found: float) -> str:
        if self._reaches(found, self.wanted):
            return "met"
        if self.accepted is not None and self._reaches(found, self.accepted):
            return "missed, acceptable"
        return "missed"

    def _reaches(self, found: float, bound: float) -> bool:
        return found >= bound if self.at_least else found <= bound


def speed_goals(rates: Rates, starts: Mapping[str, list[Start]]) -> Iterator[Goal]:
    """Yield the goals of requests that could be measured; `starts` are by target."""
    for ours, body, other, wanted, accepted in (
        (BARE, "short", "nginx", 0.25, 0.12),
        (BARE, "short", "LiteLLM", 150, None),
        (BARE, "short", "sglang-router", 1.3, None),
        (ALL_ON, "prompt", "nginx", 0.08, 0.05),
        (ALL_ON, "prompt", "LiteLLM", 45, None),
    ):
        ratio = rates.ratio(ours, other, body, _AT, by="per_s")
        if ratio is not None:
            yield Goal(
                what=f"{ours}: requests a second, x {other}",
                found=ratio,
                wanted=wanted,
                at_least=True,
                accepted=accepted,
                by_cpu=rates.ratio(ours, other, body, _AT, by="cpu_us"),
            )
    p50 = rates.median("p50_us", ALL_ON, "prompt", 1)
    if p50 is not None:
        yield _most(f"{ALL_ON}: p50 at one connection", p50 / _US_A_MS, 0.7, "ms")
    for name in (BARE, ALL_ON):
        found = starts.get(name)
        if not found:
            continue
        idle = max(one.idle_mib for one in found)
        yield _most(f"{name}: memory before the first request", idle, 120, "MiB")
        yield Goal(
            what=f"{name}: ready",
            found=statistics.median(one.ready_s for one in found),
            wanted=1.5,
            at_least=False,
            unit="s",
            by_cpu=statistics.median(one.cpu_s for one in found),
        )


def stream_goals(streams: Streams) -> Iterator[Goal]:
    """Yield the goals of streams that could be measured."""
    for name in (BARE, ALL_ON):
        for what, count, wanted in (("first_p50_us", 1, 0.7), ("first_p99_us", 64, 20)):
            added = streams.added(what, name, count)
            if added is not None:
                text = f"{name}: added to the first event, {what[6:9]}, {count} streams"
                yield _most(text, added / _US_A_MS, wanted, "ms")
        cpu = streams.median("cpu_us", name, 64)
        if cpu is not None:
            yield _most(f"{name}: CPU for each event, 64 streams", cpu, 75, "us")
        if streams.median("events", name, 200) is not None:
            broken = streams.worst("broken", name, max) + streams.worst("failed", name, max)
            yield _most(f"{name}: streams that failed or were not the upstream's", broken, 0)
            events = streams.median("events", name, 200)
            assert events is not None, "asked before"
            yield Goal(
                what=f"{name}: events out for each that came in, 200 streams",
                found=events / SENT,
                wanted=1.0,
                at_least=True,
            )
        rise = streams.rise_ms(name)
        if rise is not None:
            yield _most(f"{name}: a request of 100k tokens adds to p99", rise, 15, "ms")


def _most(what: str, found: float, wanted: float, unit: str = "") -> Goal:
    return Goal(what=what, found=found, wanted=wanted, at_least=False, unit=unit)
