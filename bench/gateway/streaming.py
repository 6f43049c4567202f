"""Streams of 51 events, one each 10 ms: what the gateway adds to them, and what disturbs them."""

import json
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.servers import Core, call, cpu_s
from gateway.targets import GATEWAY_CORE, KEY, Target, chat

LARGE_TOKENS = 100_000
_CHARACTERS_A_TOKEN = 4
_SMALL_STREAMS = 16
_LARGE_EVERY_S = 0.5
_AFTER_S = 0.02
"""What a large request has held up comes out within this time of its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """One measurement of so many streams at a time."""

    target: str
    streams: int
    round: int
    per_s: float
    first_p50_us: float
    first_p99_us: float
    events: float
    alone: float
    """Share of events that came in an HTTP chunk of their own."""
    failed: int
    broken: int
    """Streams whose text is not what the model server sends."""
    cpu_us: float
    """Of the server, for each event."""
    others: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed:
    """How late events of small streams are, without and with a large request beside them."""

    target: str
    quiet_p99_ms: float
    large_p99_ms: float
    large_ms: float
    """The median time that a large request takes."""
    large_requests: int

    @property
    def rise_ms(self) -> float:
        return self.large_p99_ms - self.quiet_p99_ms


def streamed(
    target: Target, pid: int | None, *, streams: int, body: Path, seconds: float
) -> dict[str, Any]:
    """Keep so many streams open for some seconds; return what `Streamed` wants to know."""
    core, before = Core(GATEWAY_CORE), cpu_s(pid) if pid else 0.0
    found = _run(target, streams, body, seconds)
    events = max(1.0, found["per_s"] * core.seconds * found["events"])
    busy, stolen = core.shares()
    used = cpu_s(pid) - before if pid else 0.0
    return {
        **{name: found[name] for name in ("per_s", "first_p50_us", "first_p99_us", "events")},
        **{name: found[name] for name in ("alone", "failed", "broken")},
        "cpu_us": used / events * 1e6,
        "others": max(0.0, busy - used / core.seconds) + stolen,
    }


def _run(
    target: Target, streams: int, body: Path, seconds: float, samples: Path | None = None
) -> dict[str, Any]:
    done = subprocess.run(
        [
            *(str(body.parent / "streams"), str(target.port), str(streams), f"{seconds:g}"),
            *(str(body), KEY, *([str(samples)] if samples else [])),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def disturbed(target: Target, *, body: Path, seconds: float) -> Disturbed:
    """Time small streams alone, and then with a request of LARGE_TOKENS every half second.

    Only events that came while a large request was served count as disturbed, so that the time
    between them does not hide it.
    """
    samples = body.parent / "samples"
    _run(target, _SMALL_STREAMS, body, seconds, samples)
    quiet = [late for _, late in _read(samples)]
    asked = _Large(target)
    thread = threading.Thread(target=asked.run, args=(seconds,))
    thread.start()
    _run(target, _SMALL_STREAMS, body, seconds, samples)
    thread.join()
    loud = [
        late
        for at, late in _read(samples)
        if any(began <= at <= ended + _AFTER_S for began, ended in asked.spans)
    ]
    return Disturbed(
        target=target.name,
        quiet_p99_ms=_percentile(quiet, 0.99) / 1e3,
        large_p99_ms=_percentile(loud, 0.99) / 1e3,
        large_ms=statistics.median(1e3 * (b - a) for a, b in asked.spans),
        large_requests=len(asked.spans),
    )


class _Large:
    """Asks large questions, one at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.spans: list[tuple[float, float]] = []

    def run(self, seconds: float) -> None:
        bodies = [_large_body(number) for number in range(int(seconds / _LARGE_EVERY_S) - 1)]
        for body in bodies:
            time.sleep(_LARGE_EVERY_S)
            began = time.monotonic()
            status, data = call(
                self._target.port, "POST", self._target.path, body, self._target.headers
            )
            if status != 200:
                raise AssertionError(f"a large request has status {status}: {data[:200]!r}")
            self.spans.append((began, time.monotonic()))


def _large_body(number: int) -> bytes:
    """Return a question about the log of a web server: each line has an address."""
    lines, size = [f"case {number}"], 0
    while size < LARGE_TOKENS * _CHARACTERS_A_TOKEN:
        n = len(lines) + 100_000 * number
        line = (
            f"81.2.{n // 250 % 250}.{n % 250} - - [20/Nov/2026:10:{n // 60 % 60:02d}:{n % 60:02d} "
            f'+0000] "GET /v1/orders/{n} HTTP/1.1" 200 {n % 9000} "-" "curl/8.5.0"'
        )
        lines.append(line)
        size += len(line) + 1
    return json.dumps(chat("\n".join(lines))).encode()


def _read(samples: Path) -> list[tuple[float, float]]:
    return [
        (float(at), float(late))
        for at, late in (line.split() for line in samples.read_text().splitlines())
    ]


def _percentile(values: Sequence[float], share: float) -> float:
    if not values:
        raise AssertionError("nothing was timed")
    return sorted(values)[int((len(values) - 1) * share)]


class Streams:
    """All measurements of a run."""

    def __init__(self) -> None:
        self.rows: list[Streamed] = []
        self.disturbed: list[Disturbed] = []

    def median(self, what: str, target: str, streams: int) -> float | None:
        """Return the median of the rounds; None: it was not measured."""
        rows = [row for row in self.rows if (row.target, row.streams) == (target, streams)]
        values: list[float] = [getattr(row, what) for row in rows]
        return statistics.median(values) if values else None

    def worst(self, what: str, target: str, choose: Callable[[Sequence[float]], float]) -> float:
        """Return the worst of all rounds and numbers of streams."""
        return choose([getattr(row, what) for row in self.rows if row.target == target])

    def added(self, what: str, target: str, streams: int) -> float | None:
        """Return what a target adds to the upstream asked directly: a median within rounds."""
        direct = {r.round: r for r in self.rows if (r.target, r.streams) == ("direct", streams)}
        found = [
            getattr(row, what) - getattr(direct[row.round], what)
            for row in self.rows
            if (row.target, row.streams) == (target, streams) and row.round in direct
        ]
        return statistics.median(found) if found else None

    def rise_ms(self, target: str) -> float | None:
        """Return what a large request adds to the 99th percentile of lateness."""
        found = [row.rise_ms for row in self.disturbed if row.target == target]
        return statistics.median(found) if found else None

    def as_json(self) -> dict[str, object]:
        return {
            "streams": [asdict(row) for row in self.rows],
            "disturbed": [asdict(row) | {"rise_ms": row.rise_ms} for row in self.disturbed],
        }
