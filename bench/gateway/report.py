"""The figures of a run as Markdown, and as JSON."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from gateway.goals import BARE, DIRECT, Goal, Start
from gateway.proof import Proof
from gateway.rates import Rates
from gateway.streaming import Streams

_QUIET = 0.05
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


class Run:
    """All that one run has found."""

    def __init__(self, *, rounds: int, seconds: int) -> None:
        self.rounds = rounds
        self.seconds = seconds
        self.rates = Rates()
        self.streams = Streams()
        self.starts: dict[str, list[Start]] = {}
        """By target."""
        self.left_out: dict[str, str] = {}
        self.proof: Proof | None = None
        self.goals: list[Goal] = []

    @property
    def others(self) -> float:
        """The share of the gateways' core that was not theirs, in the median."""
        shares = [row.others for row in self.rates.rows]
        shares += [row.others for row in self.streams.rows]
        return statistics.median(shares) if shares else 0.0

    def as_json(self) -> dict[str, object]:
        return {
            "machine": _machine(),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "others": self.others,
            "rates": self.rates.as_json(),
            **self.streams.as_json(),
            "starts": {name: [asdict(one) for one in found] for name, found in self.starts.items()},
            "left_out": self.left_out,
            "proof": self.proof.as_json() if self.proof else None,
            "goals": [
                {"what": goal.what, "found": goal.found, "wanted": goal.wanted}
                | {"by_cpu": goal.by_cpu, "verdict": goal.verdict}
                | {"verdict_by_cpu": goal.verdict_by_cpu}
                for goal in self.goals
            ],
        }


def markdown(run: Run) -> str:
    """Return the tables of a run."""
    parts = [
        _noted(run),
        _goals(run.goals),
        *(_rates(run, body, title) for body, title in _BODIES.items()),
        _streams(run.streams),
        _disturbed(run.streams),
        _starts(run.starts),
        _proof(run.proof),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_BODIES = {"short": "A short question", "prompt": "A prompt of 4 KB"}


def _noted(run: Run) -> str:
    quiet = "the machine was quiet" if run.others <= _QUIET else "**the machine was not quiet**"
    text = (
        f"{_machine()}. {run.rounds} round(s) of {run.seconds} s for each figure; other programs "
        f"took {run.others:.0%} of the gateways' core in the median: {quiet}."
    )
    headroom = [
        f"{ratio:.1f} times as fast as {name}"
        for name in ("nginx", BARE)
        if (ratio := run.rates.ratio(DIRECT, name, "short", 16, by="per_s")) is not None
    ]
    if headroom:
        text += f" The model server, asked directly, is {' and '.join(headroom)}."
    for name, reason in run.left_out.items():
        text += f"\n\n{name} is left out: {reason}."
    return text


def _machine() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{line.partition(':')[2].strip()}, {os.cpu_count()} cores, {_python()}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {_python()}"


def _python() -> str:
    return f"Python {platform.python_version()}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _goals(goals: Sequence[Goal]) -> str:
    rows = [
        (
            goal.what,
            f"{_short(goal.found)} {goal.unit}".strip(),
            "" if goal.by_cpu is None else _short(goal.by_cpu),
            f"{'≥' if goal.at_least else '≤'} {goal.wanted:g} {goal.unit}".strip(),
            "" if goal.accepted is None else f"{goal.accepted:g}",
            goal.verdict,
            goal.verdict_by_cpu,
        )
        for goal in goals
    ]
    return (
        _table(("goal", "found", "by CPU", "wanted", "at least", "", "by CPU"), rows)
        if rows
        else ""
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _rates(run: Run, body: str, title: str) -> str:
    rates = run.rates
    rows = [
        (
            target,
            str(connections),
            *(
                _cell(rates.median(what, target, body, connections))
                for what in ("per_s", "cpu_us", "p50_us", "p99_us", "rss_mib", "failed")
            ),
            *(
                _cell(rates.ratio(target, other, body, connections, by="per_s"))
                for other in ("nginx", "LiteLLM", "sglang-router")
            ),
            _cell(rates.ratio(target, "nginx", body, connections, by="cpu_us")),
        )
        for connections in sorted({row.connections for row in rates.rows})
        for target in rates.targets()
        if rates.of(target, body, connections)
    ]
    head = ("", "connections", "requests/s", "CPU us/request", "p50 us", "p99 us", "MiB", "failed")
    ratios = ("x nginx", "x LiteLLM", "x sglang-router", "CPU x nginx")
    return f"{title}:\n\n{_table((*head, *ratios), rows)}" if rows else ""


def _cell(value: float | None) -> str:
    return "" if value is None else _short(value)


def _streams(streams: Streams) -> str:
    keys = list(dict.fromkeys((row.streams, row.target) for row in streams.rows))
    rows = [
        (
            target,
            str(count),
            *(
                _cell(streams.median(what, target, count))
                for what in ("first_p50_us", "first_p99_us", "cpu_us", "events", "alone")
            ),
            *(_cell(streams.median(what, target, count)) for what in ("failed", "broken")),
        )
        for count, target in sorted(keys, key=lambda key: key[0])
    ]
    head = ("", "streams", "first event p50 us", "p99 us", "CPU us/event", "events")
    more = ("in a chunk of their own", "failed", "not the upstream's")
    if not rows:
        return ""
    return f"Streams of 51 events, one each 10 ms:\n\n{_table((*head, *more), rows)}"


def _disturbed(streams: Streams) -> str:
    rows = [
        (
            row.target,
            *(f"{value:.1f}" for value in (row.quiet_p99_ms, row.large_p99_ms, row.rise_ms)),
            f"{row.large_ms:.0f}",
            str(row.large_requests),
        )
        for row in streams.disturbed
    ]
    head = ("", "p99 alone ms", "p99 beside it ms", "rise ms", "the request takes ms", "requests")
    title = "How late events of 16 streams are, alone and while a request of 100k tokens is served"
    return f"{title}:\n\n{_table(head, rows)}" if rows else ""


def _starts(starts: Mapping[str, list[Start]]) -> str:
    rows = [
        (
            name,
            f"{statistics.median(one.ready_s for one in found):.2f}",
            f"{statistics.median(one.cpu_s for one in found):.2f}",
            f"{statistics.median(one.idle_mib for one in found):.0f}",
        )
        for name, found in starts.items()
    ]
    return _table(("", "ready after s", "CPU s until then", "MiB then"), rows) if rows else ""


def _proof(proof: Proof | None) -> str:
    if proof is None:
        return ""
    if proof.faults:
        return f"With everything on, this was **not** done: {'; '.join(proof.faults)}."
    return (
        f"With everything on, {proof.answered} requests were answered. Of {proof.requests} that "
        f"began, some given up as a load ended, all {proof.audited} are in the audit log, whose "
        f"chain verifies; {proof.events} reservations became usage events, and each budget has "
        f"spent what they cost. The cache was looked into {proof.missed} times and had none of "
        f"them; {proof.redacted} findings were redacted; {proof.traced} batches of spans came out."
    )


def put_into(page: Path, text: str) -> None:
    """Put the tables into a page of the docs, between its two marks."""
    old = page.read_text()
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
