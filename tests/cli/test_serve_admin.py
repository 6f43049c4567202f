"""`lockgate serve` as a process, with SQLite: operated by its API and by the command line."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from cli.test_serve import EVAL, ROOT, Process, configure, serving
from lockgate.cli.main import execute
from programs import require
from upstream.mock_model import MockModel, mock_model

PRICES = """
[[price]]
model = "m"
valid_from = 2020-01-01
input = "1000"
output = "1000"
"""
# 11 tokens of the mock at a thousandth of the currency each.
COST = 11_000_000
SOON_S = 1 if not os.environ.get("CI") else 3
ALL_ROLES = ("caller", "auditor", "operator", "admin")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    work = tmp_path / "work"
    work.mkdir()
    (work / "prices.toml").write_text(PRICES)
    monkeypatch.chdir(work)
    return work


class Client:
    def __init__(self, process: Process, secret: str) -> None:
        self._process = process
        self.secret = secret

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        request = Request(self._process.url + path, data, headers, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

    def chat(self) -> tuple[int, Any]:
        body = {"model": "m", "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]}
        return self.ask("POST", "/v1/chat/completions", body)

    def until(self, status: int, ask: Callable[[], tuple[int, Any]]) -> tuple[float, Any]:
        """Ask until the answer has that status; return the seconds that took, and the answer."""
        began = time.monotonic()
        while True:
            found, answer = ask()
            if found == status:
                return time.monotonic() - began, answer
            assert time.monotonic() < began + 15, (found, answer)
            time.sleep(0.02)


def new_token(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert execute(["token", "new", *arguments, "--json"]) == 0
    secret: str = json.loads(capsys.readouterr().out)["secret"]
    return secret


@contextmanager
def operated(
    folder: Path, mock: MockModel, capsys: pytest.CaptureFixture[str]
) -> Generator[tuple[Process, Client]]:
    """A gateway, and a client that holds every role."""
    configure(folder, mock, more=["[books]", 'prices = "prices.toml"'])
    roles = [word for role in ALL_ROLES for word in ("--role", role)]
    scopes = ["--scope", "model:*", "--scope", "task:*"]
    root = new_token(capsys, "root", "--team", "ops", *roles, *scopes)
    with serving(folder) as process:
        client = Client(process, root)
        client.until(200, lambda: client.ask("GET", "/healthz/ready"))
        yield process, client


def test_a_key_is_made_spends_is_refused_over_its_budget_and_is_revoked_all_over_http(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock_model() as mock, operated(folder, mock, capsys) as (process, root):
        wanted = {"id": "ci", "team": "shop", "scopes": ["model:m"]}
        status, made = root.ask("POST", "/admin/keys", wanted)
        assert status == 201
        ci = Client(process, made["secret"])
        taken_s, _ = ci.until(200, ci.chat)
        assert taken_s < SOON_S
        assert ci.ask("GET", "/admin/keys")[0] == 403

        def used() -> tuple[int, Any]:
            rows = root.ask("GET", "/admin/usage?by=key")[1]["data"]
            return len(rows), rows

        _, (row,) = root.until(1, used)
        assert (row["name"], row["calls"], row["cost_nanos"]) == ("ci", 1, str(COST))
        assert (row["input_tokens"], row["output_tokens"]) == (7, 4)
        _, sums = root.ask("GET", "/admin/usage?by=model&then=day")
        assert (sums["by"], sums["then"], sums["data"][0]["name"]) == ("model", "day", "m")
        assert len(sums["data"][0]["then"]) == len("2026-11-21")

        # Room for the ceiling of a call, and for what about twenty do cost.
        budget = {"account": "team:shop", "limit_nanos": str(20 * COST)}
        assert root.ask("POST", "/admin/budgets", budget)[0] == 200
        assert ci.chat()[0] == 200
        _, refused = ci.until(429, ci.chat)
        assert refused["error"]["code"] == "over-budget"
        (row,) = root.ask("GET", "/admin/budgets")[1]["data"]
        assert row["account"] == "team:shop"
        assert 0 < int(row["spent_nanos"]) <= int(row["limit_nanos"])
        assert root.ask("DELETE", "/admin/budgets?account=team:shop")[0] == 200
        ci.until(200, ci.chat)

        rotated = root.ask("POST", "/admin/keys/ci/rotate", {"overlap_hours": 1})[1]
        renewed = Client(process, rotated["secret"])
        assert renewed.until(200, renewed.chat)[0] < SOON_S
        assert ci.chat()[0] == 200  # it goes on for an hour
        assert root.ask("DELETE", "/admin/keys/ci")[0] == 200
        taken_s, refused = ci.until(401, ci.chat)
        assert (refused["error"]["code"], taken_s < SOON_S) == ("unauthenticated", True)
        assert renewed.chat()[0] == 401
        events = root.ask("GET", "/admin/audit?limit=200")[1]["data"]
        assert {e["action"] for e in events if e["actor"] == "ops/root"} >= {
            "token.new",
            "token.rotate",
            "token.revoke",
            "budget.set",
            "budget.drop",
        }
    assert execute(["audit", "verify"]) == 0


def test_what_the_command_line_turns_off_is_off_in_a_running_gateway_within_a_second(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock_model() as mock, operated(folder, mock, capsys) as (_, root):

        def review() -> tuple[int, Any]:
            return root.ask("POST", "/v1/tasks/review?engine=model", {"diff": EVAL.decode()})

        def degraded() -> tuple[int, Any]:
            status, answer = review()
            reasons = " ".join(answer.get("degraded_reasons", ()))
            return (status if "is turned off since" in reasons else 0), answer

        assert root.chat()[0] == 200
        assert execute(["kill", "off", "model:m", "--reason", "wrong answers"]) == 0
        taken_s, refused = root.until(503, root.chat)
        assert (refused["error"]["code"], taken_s < SOON_S) == ("turned-off", True)
        assert execute(["kill", "on", "model:m", "--reason", "fixed"]) == 0
        assert root.until(200, root.chat)[0] < SOON_S

        assert execute(["kill", "off", "task:review", "--reason", "leaks names"]) == 0
        taken_s, answer = root.until(200, degraded)
        assert taken_s < SOON_S + 0.5  # it answers in the meantime, and that takes a while
        assert (answer["engine"], answer["risk"]) == ("rules", "high")
        assert root.chat()[0] == 200

        wanted = {"what": "all", "leaves": "nothing", "reason": "incident-12"}
        assert root.ask("POST", "/admin/kills", wanted)[0] == 201
        assert root.until(503, root.chat)[0] < SOON_S
        assert review()[1]["error"]["code"] == "turned-off"
        capsys.readouterr()
        assert execute(["kill", "list", "--json"]) == 0
        listed = {(kill["scope"], kill["actor"]) for kill in json.loads(capsys.readouterr().out)}
        assert ("all", "ops/root") in listed
        assert root.ask("DELETE", "/admin/kills?what=all&reason=over")[0] == 200
        assert root.until(200, root.chat)[0] < SOON_S


def test_the_commands_of_the_guide_work(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require("curl")
    guide = (ROOT / "docs" / "guides" / "operation.md").read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) >= 6
    with mock_model() as mock, operated(folder, mock, capsys) as (process, root):
        environment = {**os.environ, "URL": process.url, "KEY": root.secret}
        script = "set -e\n" + "".join(blocks)
        done = subprocess.run(
            ["bash", "-c", script], env=environment, check=False, capture_output=True
        )
        assert done.returncode == 0, done.stdout.decode()
        assert root.ask("GET", "/admin/kills")[1]["data"] == []


def test_the_api_answers_while_the_serving_loop_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock_model() as mock, operated(folder, mock, capsys) as (_, root):
        shown = {row["path"] for row in root.ask("GET", "/admin/routes")[1]["data"]}
        assert {"/admin/audit", "/v1/chat/completions", "/review"} <= shown
        for path in ("keys", "budgets", "usage", "kills", "releases", "promotions", "audit"):
            status, answer = root.ask("GET", f"/admin/{path}")
            assert (status, answer["object"]) == (200, "list"), path
