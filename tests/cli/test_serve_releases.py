"""Two gateways on one PostgreSQL: releases take over and go back while requests come in."""

import json
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.test_promote import Run, run, to_production, to_staging, workplace
from cli.test_serve import Process, serving
from cli.test_serve_admin import ALL_ROLES, Client, new_token

__all__ = ["run", "workplace"]

WAIT_S = 30
FULL_DISK = {"text": "no space left on device"}


class Load:
    """Asks gateways for a task without a pause, and notes what answered."""

    def __init__(self, clients: list[Client]) -> None:
        self.statuses: Counter[int] = Counter()
        self.newest: dict[int, str] = {}
        """The output of the last answer of each gateway."""
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(at, client), daemon=True)
            for at, client in enumerate(clients)
        ]

    @contextmanager
    def running(self) -> Generator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(WAIT_S)

    def until(self, words: str) -> None:
        """Wait until every gateway answers by the release that finds these words."""
        end = time.monotonic() + WAIT_S
        while set(self.newest.values()) != {words} or len(self.newest) < len(self._threads):
            assert time.monotonic() < end, self.newest
            time.sleep(0.02)

    def _ask(self, at: int, client: Client) -> None:
        while not self._stop.is_set():
            status, answer = client.ask("POST", "/v1/tasks/triage", FULL_DISK)
            self.statuses[status] += 1
            self.newest[at] = answer["words"] if status == 200 else str(answer)


def change_rules(workplace: Path) -> None:
    """Let the task find the beginning of what it found before."""
    rules = workplace / "tasks" / "triage" / "rules.json.j2"
    rules.write_text(rules.read_text().replace('"no space left"', '"no space"'))


def configure(workplace: Path, more: str) -> None:
    file = workplace / "lockgate.toml"
    file.write_text(file.read_text().replace("[policy]\n", more))


def test_a_release_takes_over_and_goes_back_on_every_replica_and_no_request_fails(
    run: Run, workplace: Path, postgres_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(workplace, f'[store]\nurl = "{postgres_dsn}"\n[policy]\ngate_signer = "gate"\n')
    assert run("release", "build", "triage", "--tag", "candidate")[0] == 0
    to_production(run)
    change_rules(workplace)
    assert run("release", "build", "triage", "--tag", "next")[0] == 0
    to_staging(run, "triage:next")
    approve = ("release", "approve", "triage:next", "--to", "production", "--sign", "ana")
    assert run(*approve)[0] == 0
    configuration = workplace / "lockgate.toml"
    configuration.write_text(configuration.read_text().replace('"staging"', '"production"'))
    roles = [word for role in ALL_ROLES for word in ("--role", role)]
    secret = new_token(capsys, "root", "--team", "ops", *roles, "--scope", "task:*")

    with ExitStack() as stack:
        replicas: list[Process] = [stack.enter_context(serving(workplace)) for _ in range(2)]
        one, two = clients = [Client(replica, secret) for replica in replicas]
        for client in clients:
            client.until(200, lambda client=client: client.ask("GET", "/healthz/ready"))  # type: ignore[misc]
            client.until(200, lambda client=client: client.ask("GET", "/v1/tasks"))  # type: ignore[misc]
        load = Load(clients)
        with load.running():
            # The folder holds the next release already: what runs is what was promoted.
            load.until("no space left")
            wanted: dict[str, Any] = {"release": "triage:next", "environment": "production"}
            status, promoted = one.ask("POST", "/admin/releases/promote", wanted)
            assert (status, promoted["done"]) == (200, True), promoted
            load.until("no space")
            back = {"task": "triage", "environment": "production", "reason": "too brief"}
            status, again = two.ask("POST", "/admin/releases/rollback", back)
            assert (status, again["done"]) == (200, True), again
            load.until("no space left")
        assert set(load.statuses) == {200}
        assert (again["release"], again["previous"]) == (
            promoted["previous"],
            promoted["release"],
        )
        for client in clients:
            (row,) = [
                row
                for row in client.ask("GET", "/admin/releases")[1]["data"]
                if row["environment"] == "production"
            ]
            assert (row["release"], row["actor"]) == (again["release"], "ops/root")
        status, nowhere = two.ask("POST", "/admin/releases/rollback", back)
        told = nowhere["error"]["message"]
        assert (status, told.partition(": ")[2]) == (
            404,
            "name a `release`; see `GET /admin/promotions`",
        )
        status, odd = one.ask("POST", "/v1/tasks/triage", {})
        told = odd["error"]["message"]
        assert (status, told.endswith(": see its schema: `GET /v1/tasks/triage`")) == (400, True)

    events = json.loads(run("audit", "list", "--limit", "10000", "--json")[1])
    moves = [e for e in events if e["action"].startswith("release.") and "ops/root" in e["actor"]]
    assert [
        (e["action"], e["detail"]["previous"], e["detail"]["release"], e["detail"]["reason"])
        for e in moves
    ] == [
        ("release.rollback", promoted["release"], promoted["previous"], "too brief"),
        ("release.promote", promoted["previous"], promoted["release"], ""),
    ]
    assert run("audit", "verify")[0] == 0
    assert run("release", "decision", promoted["decision"])[0] == 0
