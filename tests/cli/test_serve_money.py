"""`lockgate serve` as a process: what calls of tasks cost, over HTTP."""

import json
import signal
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from app.test_task_billing import GOOD, TASK
from cli.test_serve import Process, put, serving, wait_ready
from lockgate.cli.main import execute
from price_files import price_file
from upstream.mock_model import MockModel
from waiting import wait_until

EACH = 40 * 1_000_000
PATH = f"/v1/tasks/{TASK}?engine=model"
INPUT = b'{"text": "no space left on device"}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert execute(["task", "new", TASK]) == 0
    (tmp_path / "prices.toml").write_text(price_file(smollm2=("1000", "1000")))
    return tmp_path


def prepare(
    folder: Path, mock: MockModel, capsys: pytest.CaptureFixture[str], budget: str = ""
) -> str:
    """Configure a gateway whose model answers well, and return the secret of a caller."""
    mock.answer = GOOD
    configure(folder, mock)
    assert execute(["token", "new", "ci", "--team", "shop", "--scope", "task:*"]) == 0
    secret = capsys.readouterr().out.strip().splitlines()[-1]
    if budget:
        assert execute(["budget", "set", f"task:{TASK}", budget]) == 0
    return secret


def configure(folder: Path, mock: MockModel, policy: str = "rules") -> None:
    put(
        folder,
        f'[backends.far]\nkind = "openai"\nurl = "http://127.0.0.1:{mock.port}/v1"\n'
        f'data_classes = ["internal"]\n[books]\nprices = "prices.toml"\n'
        f'[tasks.{TASK}]\non_unavailable = "{policy}"\nmodels = {{text = {{backend = "far"}}}}',
    )


Headers = dict[str, str] | None


class Caller:
    def __init__(self, process: Process, secret: str) -> None:
        self._url = process.url
        self._headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}

    def ask(self, path: str = PATH, body: bytes | None = INPUT, more: Headers = None) -> Any:
        request = Request(f"{self._url}{path}", body, {**self._headers, **(more or {})})  # noqa: S310
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def wait_for(self, path: str) -> Any:
        wait_until(lambda: self.ask(path, None)["status"] != "running", 20)
        return self.ask(path, None)


def usage(capsys: pytest.CaptureFixture[str], by: str) -> list[tuple[str, int, int]]:
    capsys.readouterr()
    assert execute(["usage", "--by", by, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    return [(row[by], row["calls"], int(row["nanos"])) for row in rows]


def test_a_task_is_paid_for_once_however_it_is_called(
    folder: Path, mock: MockModel, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = prepare(folder, mock, capsys, "5")
    with serving(folder) as process:
        wait_ready(process)
        caller = Caller(process, secret)
        assert caller.ask()["degraded"] is False
        for _ in range(2):
            again = caller.ask(more={"idempotency-key": "once"})
            assert again["category"] == "disk"
        later = {"prefer": "respond-async", "idempotency-key": "later"}
        accepted = caller.ask(more=later)
        assert caller.wait_for(accepted["url"])["status"] == "done"
        assert caller.ask(more=later)["id"] == (accepted["id"])
        assert caller.ask(f"/{TASK}?engine=rules")["engine"] == "rules"
        assert len(mock.requests) == 3
    for by, name in (("task", TASK), ("team", "shop"), ("key", "ci"), ("model", "smollm2")):
        assert usage(capsys, by) == [(name, 3, 3 * EACH)]
    assert execute(["budget", "list", "--json"]) == 0
    (standing,) = json.loads(capsys.readouterr().out)
    assert (int(standing["spent_nanos"]), standing["held_nanos"]) == (3 * EACH, "0")


def test_a_budget_of_a_task_that_is_used_up_refuses_or_leaves_the_rules(
    folder: Path, mock: MockModel, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = prepare(folder, mock, capsys, "0.001")
    with serving(folder) as process:
        wait_ready(process)
        caller = Caller(process, secret)
        answer = caller.ask()
        assert (answer["engine"], answer["degraded"]) == ("rules", True)
        assert f"the budget of `task:{TASK}`" in answer["degraded_reasons"][0]
        configure(folder, mock, "refuse")
        process.running.send_signal(signal.SIGHUP)
        process.wait_until_it_says("the configuration was read again")
        for path in (PATH, f"/{TASK}?engine=model"):
            with pytest.raises(HTTPError) as refused:
                caller.ask(path)
            assert refused.value.code == 429
            assert json.load(refused.value)["error"]["code"] == "over-budget"
        accepted = caller.ask(more={"prefer": "respond-async"})
        state = caller.wait_for(accepted["url"])
        assert (state["status"], state["error"]["code"]) == ("failed", "over-budget")
        assert mock.requests == []
    assert usage(capsys, "task") == []


def test_an_idempotency_key_is_known_to_every_replica_and_after_a_start(
    folder: Path, mock: MockModel, capsys: pytest.CaptureFixture[str]
) -> None:
    once = {"idempotency-key": "once"}
    secret = prepare(folder, mock, capsys)
    with serving(folder) as process, serving(folder) as other:
        wait_ready(process)
        wait_ready(other)
        first = Caller(process, secret).ask(more=once)
        assert Caller(other, secret).ask(more=once) == first
        with pytest.raises(HTTPError) as refused:
            Caller(other, secret).ask(body=b'{"text": "another"}', more=once)
        assert refused.value.code == 422
        # Whoever is asked for an accepted call knows it, from its 202 on.
        for body, status in ((INPUT, "done"), (b'{"text": 5}', "failed")):
            later = Caller(process, secret).ask(body=body, more={"prefer": "respond-async"})
            state = Caller(other, secret).wait_for(later["url"])
            assert (state["id"], state["status"]) == (later["id"], status)
            assert state.get("error", {}).get("code") in {None, "invalid-input"}
            assert state == Caller(process, secret).wait_for(later["url"])
        accepted = Caller(process, secret).ask(more={**once, "prefer": "respond-async"})
    with serving(folder) as process:
        wait_ready(process)
        caller = Caller(process, secret)
        assert caller.wait_for(accepted["url"]) == {
            "id": accepted["id"],
            "object": "task.call",
            "status": "done",
            "answer": first,
        }
        assert caller.ask(more=once) == first
    assert len(mock.requests) == 2
    assert usage(capsys, "task") == [(TASK, 2, 2 * EACH)]
