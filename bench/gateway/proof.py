"""Whether the gateway with everything on did everything, for every request."""

import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass

from gateway.servers import call
from gateway.targets import ROOT, WATCH_KEY, Target, own_environment

_SERIES = re.compile(r"^(lockgate_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Proof:
    """Counts of one run, over all starts of the gateway."""

    answered: int = 0
    """Answers that the load generator and the calls before it have had."""
    prompts: int = 0
    """Of them, those to the prompt with two findings."""
    requests: int = 0
    """By the gateway's own metrics: with those that were given up as a load ended."""
    good: int = 0
    """Of them, those with status 200."""
    missed: int = 0
    hit: int = 0
    limited: int = 0
    redacted: int = 0
    traced: int = 0
    """Batches of spans that came at the collector."""
    audited: int = 0
    events: int = 0
    nanos: int = 0
    """What the usage events cost together."""
    settled: dict[str, int] | None = None
    """What each budget has spent."""
    verified: bool = False
    chain: str = ""
    """What `lockgate audit verify` says."""

    def read_metrics(self, target: Target) -> None:
        """Add what a gateway has counted that is about to end."""
        watching = {"Authorization": f"Bearer {WATCH_KEY}"}
        status, page = call(target.port, "GET", "/metrics", None, watching)
        assert status == 200, f"the metrics page has status {status}: {page!r}"
        for name, labels, value in _SERIES.findall(page.decode()):
            count = int(float(value))
            if name == "lockgate_requests_total" and "chat" in labels:
                self.requests += count
                self.good += count if '"200"' in labels else 0
            elif name == "lockgate_cache_lookups_total":
                self.missed += count if '"miss"' in labels else 0
                self.hit += count if '"hit"' in labels else 0
            elif name == "lockgate_limited_total":
                self.limited += count
            elif name == "lockgate_guard_findings_total" and '"redacted"' in labels:
                self.redacted += count

    def read_books(self, target: Target) -> None:
        """Count what is in the database of a gateway that has ended, and verify its chain."""
        assert target.state is not None, "it is ours"
        (path,) = target.state.glob("*.db")
        with closing(sqlite3.connect(path)) as database:
            (self.events,), (self.nanos,) = (
                database.execute(f"SELECT {what} FROM usage_events").fetchone()  # noqa: S608
                for what in ("count(*)", "coalesce(sum(nanos), 0)")
            )
            self.settled = dict(database.execute("SELECT account, settled FROM budget_accounts"))
        done = lockgate(target, "audit", "verify")
        self.chain = (done.stdout + done.stderr).strip()
        self.verified = done.returncode == 0
        exported = lockgate(target, "audit", "export").stdout.splitlines()
        actions = Counter(json.loads(line).get("action") for line in exported)
        self.audited = actions["call"]

    @property
    def faults(self) -> list[str]:
        """Return what was not done; empty if all was."""
        found = []
        if not self.answered <= self.good <= self.events <= self.requests:
            found.append("requests without a usage event, or events without a request")
        if self.audited != self.requests:
            found.append("requests without an entry in the audit log")
        if self.hit or self.missed < self.good:
            found.append("answers out of the cache")
        if self.redacted < 2 * self.prompts:
            found.append("personal data that was not redacted")
        if self.limited:
            found.append("requests that a limit refused")
        if self.settled is None or set(self.settled.values()) != {self.nanos}:
            found.append("budgets that do not have what the usage events cost")
        if not self.verified:
            found.append("an audit chain that does not verify")
        return found

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"faults": self.faults}


def lockgate(target: Target, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line on the state of one of our own targets."""
    assert target.state is not None, "it is ours"
    config = str(target.state.parent / "lockgate.toml")
    return subprocess.run(
        [sys.executable, "-m", "lockgate", "--config", config, *arguments],
        env=own_environment(target),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
