"""Requests a second at one target, and what each of them takes."""

import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.servers import Core, cpu_s, rss_mib
from gateway.targets import GATEWAY_CORE, HERE, Target

WARM_UP_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One measurement of one target."""

    target: str
    body: str
    connections: int
    round: int
    answered: int
    per_s: float
    p50_us: float
    p99_us: float
    failed: int
    cpu_us: float
    """Of the server, for each request; 0: not known."""
    rss_mib: float
    others: float
    """Share of the server's core that other programs, and the host, have taken."""


def measured(
    target: Target, pid: int | None, body: Path, connections: int, *, seconds: int
) -> dict[str, Any]:
    """Load a target for some seconds; return what `Rate` wants to know of it."""
    core, before = Core(GATEWAY_CORE), cpu_s(pid) if pid else 0.0
    headers = {"Content-Type": "application/json", **target.headers}
    done = subprocess.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(HERE / "post.lua")),
            f"http://127.0.0.1:{target.port}{target.path}",
        ],
        env={
            **os.environ,
            "BODY": str(body),
            "HEADERS": "".join(f"{name}: {value}\n" for name, value in headers.items()),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    busy, stolen = core.shares()
    used = cpu_s(pid) - before if pid else 0.0
    found["cpu_us"] = used / max(1.0, found["answered"]) * 1e6
    found["rss_mib"] = rss_mib(pid) if pid else 0.0
    found["others"] = max(0.0, busy - used / core.seconds) + stolen
    return found


class Rates:
    """All measurements of a run."""

    def __init__(self) -> None:
        self.rows: list[Rate] = []

    def of(self, target: str, body: str, connections: int) -> list[Rate]:
        """Return the measurements of one kind, one of each round."""
        wanted = (target, body, connections)
        return [row for row in self.rows if (row.target, row.body, row.connections) == wanted]

    def median(self, what: str, target: str, body: str, connections: int) -> float | None:
        """Return the median of the rounds; None: it was not measured."""
        rows = self.of(target, body, connections)
        values: list[float] = [getattr(row, what) for row in rows]
        return statistics.median(values) if values else None

    def ratio(self, ours: str, other: str, body: str, connections: int, *, by: str) -> float | None:
        """Return how many times better than another: the median of what it is in each round.

        `by` is `per_s`, where more is better, or `cpu_us`, where less is.
        """
        theirs = {row.round: row for row in self.of(other, body, connections)}
        found = [
            getattr(row, by) / getattr(theirs[row.round], by)
            for row in self.of(ours, body, connections)
            if row.round in theirs and getattr(theirs[row.round], by) and getattr(row, by)
        ]
        if not found:
            return None
        ratio: float = statistics.median(found)
        return ratio if by == "per_s" else 1 / ratio

    def targets(self) -> Sequence[str]:
        """Return what was measured, in the order in which it was."""
        return list(dict.fromkeys(row.target for row in self.rows))

    def as_json(self) -> list[dict[str, object]]:
        return [asdict(row) for row in self.rows]
