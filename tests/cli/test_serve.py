"""`lockgate serve` as a process: what it says, how it starts, reloads and ends."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import openai
import pytest

from lockgate.cli.main import execute
from programs import require
from telemetry.test_otlp import Receiver
from upstream.mock_model import MockModel, mock_model

ROOT = Path(__file__).parents[2]
EVAL = b"--- a/app.py\n+++ b/app.py\n@@ -1,0 +2 @@\n+value = eval(text)\n"
README_SAYS = re.compile(r"\$ make serve\n((?s:.*?))```")
WORKFLOW = (
    'curl -s -X POST "$LLM_URL/review" -H "Content-Type: text/plain" '
    "--data-binary @diff.patch > review.json; jq -e '.risk == \"high\"' review.json"
)


class Process:
    def __init__(self, folder: Path, *arguments: str) -> None:
        self.running = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "lockgate",
                "serve",
                *(arguments or ("--listen", "127.0.0.1:0")),
            ],
            cwd=folder,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.said: list[str] = []
        assert self.running.stderr is not None
        for line in self.running.stderr:
            self.said.append(line)
            if line.startswith("next, in another terminal"):
                break
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        listens = "lockgate serves on "
        self.address = "".join(
            line.removeprefix(listens).strip() for line in self.said if line.startswith(listens)
        )
        self.url = f"http://{self.address}"

    def _read(self) -> None:
        assert self.running.stderr is not None
        self.said.extend(self.running.stderr)

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> Any:
        with urlopen(Request(f"{self.url}{path}", body, headers), timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def wait_until_it_says(self, words: str) -> None:
        until = time.monotonic() + 10
        while not any(words in line for line in tuple(self.said)):
            assert time.monotonic() < until, self.said
            time.sleep(0.01)

    def end(self) -> int:
        self.running.send_signal(signal.SIGTERM)
        try:
            return self.running.wait(20)
        finally:
            self.running.kill()
            self._reader.join(5)
            assert self.running.stderr is not None
            self.running.stderr.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@contextmanager
def serving(folder: Path, *arguments: str) -> Generator[Process]:
    process = Process(folder, *arguments)
    try:
        yield process
    finally:
        assert process.end() == 0, "".join(process.said)


def test_with_no_configuration_it_serves_on_loopback_says_what_to_type(
    folder: Path,
) -> None:
    with serving(folder) as process:
        process.wait_until_it_says("no keys: everyone who reaches this address is you")
        process.wait_until_it_says("--data-binary @-")
        assert process.ask("/healthz/ready") == {"status": "ok"}
        assert process.ask("/v1/models")["data"] == []
        assert process.ask("/review?engine=rules", EVAL)["risk"] == "high"
        (shown,) = README_SAYS.findall((ROOT / "README.md").read_text("utf-8"))
        said = "".join(process.said).replace(process.address, "127.0.0.1:8400")
        no_models = "none (lockgate model pull smollm2)"
        assert said.replace(no_models, "minilm, smollm2") == shown


def test_without_the_extra_it_says_what_to_install(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert execute(["serve"]) == 2
    said = capsys.readouterr().err
    assert "`uvloop` is not installed" in said
    assert "pip install 'lockgate[serve]'; in a checkout of Lockgate: make serve" in said


def test_what_it_answered_is_in_the_audit_log(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(folder) as process:
        process.ask("/review?engine=rules", EVAL)
    assert execute(["audit", "list", "--json"]) == 0
    (event,) = json.loads(capsys.readouterr().out)
    assert (event["subject"], event["detail"]["outcome"]) == ("review", "answered")
    assert event["actor"].startswith("local/")
    assert execute(["audit", "verify"]) == 0


def test_the_list_of_the_audit_log_says_where_a_call_of_a_model_went_and_how_it_ended(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    (folder / "lockgate.toml").write_text(
        f'[backends.there]\nkind = "openai"\nurl = "http://127.0.0.1:{port}/v1"\n'
        'data_classes = ["internal"]\nmodels = { "m" = "m" }\n'
    )
    asked = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    with serving(folder) as process, pytest.raises(HTTPError, match="502"):
        process.ask("/v1/chat/completions", asked)
    assert execute(["audit", "list"]) == 0
    (row,) = capsys.readouterr().out.splitlines()[1:]
    assert row.split()[3:-1] == ["call", "model:m", "there", "upstream-failed"]


def test_elsewhere_than_on_loopback_it_wants_keys(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:80", "localhost.evil.example:80"):
        assert execute(["serve", "--listen", address]) == 2
        assert "there are no keys" in capsys.readouterr().err
    assert execute(["serve", "--listen", "here"]) == 2
    assert "no address to listen on" in capsys.readouterr().err


def test_a_collector_gets_the_token_that_a_variable_holds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = Receiver()
    with receiver.serving() as url:
        (folder / "lockgate.toml").write_text(
            f'[server.tracing]\notlp_url = "{url}"\nheaders_env = "COLLECTOR"\nratio = 1.0\n'
        )
        assert execute(["serve", "--listen", "127.0.0.1:0"]) == 2
        assert "`COLLECTOR` is not set" in capsys.readouterr().err

        monkeypatch.setenv("COLLECTOR", "authorization=Bearer%20t0ken")
        with serving(folder) as process:
            process.ask("/v1/models")

    assert set(receiver.tokens) == {"Bearer t0ken"}


def test_an_address_that_is_taken_is_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert execute(["serve", "--listen", f"127.0.0.1:{port}"]) == 2
    assert "cannot listen on" in capsys.readouterr().err


def test_a_unix_socket_is_its_owners_alone_and_is_taken_away_at_the_end(folder: Path) -> None:
    require("curl")
    path = folder / "gateway.sock"
    with serving(folder, "--listen", f"unix:{path}"):
        assert path.stat().st_mode & 0o777 == 0o600
        done = subprocess.run(
            ["curl", "-s", "--unix-socket", str(path), "http://localhost/healthz/live"],
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout) == {"status": "ok"}
    assert not path.exists()


def configure(
    folder: Path, mock: MockModel, *, key: str | None = None, more: Sequence[str] = ()
) -> None:
    lines = [
        "[backends.there]",
        'kind = "openai"',
        f'url = "http://127.0.0.1:{mock.port}/v1"',
        'data_classes = ["public", "internal"]',
        'models = { m = "their-m" }',
    ]
    if key:
        digest = hashlib.sha256(key.encode()).hexdigest()
        lines += [
            "[server.keys.ci]",
            f'sha256 = "{digest}"',
            'scopes = ["task:*", "model:*"]',
        ]
    put(folder, "\n".join([*lines, *more]))


def put(folder: Path, text: str) -> None:
    """Replace the configuration in one step, as one does under a running server."""
    (folder / "new").write_text(text + "\n")
    (folder / "new").replace(folder / "lockgate.toml")


def test_a_configuration_that_is_read_again_fails_no_request(folder: Path) -> None:
    with mock_model() as mock:
        configure(folder, mock)
        with serving(folder) as process:
            done = threading.Event()
            failed: list[str] = []
            answered = 0

            def load() -> None:
                nonlocal answered
                with openai.OpenAI(
                    base_url=f"{process.url}/v1", api_key="x", max_retries=0
                ) as client:
                    while not done.is_set():
                        try:
                            client.chat.completions.create(
                                model="m", messages=[{"role": "user", "content": "hi"}]
                            )
                            answered += 1
                        except openai.OpenAIError as error:
                            failed.append(str(error))

            thread = threading.Thread(target=load)
            thread.start()
            put(folder, "nonsense = 1")
            process.running.send_signal(signal.SIGHUP)
            process.wait_until_it_says("the configuration stays as it was")
            url = f"url = 'http://127.0.0.1:{mock.port}/v1'"
            more = ["[backends.more]", "kind = 'openai'", url, "models = { n = 'n' }"]
            configure(folder, mock, more=more)
            process.running.send_signal(signal.SIGHUP)
            until = time.monotonic() + 10
            while time.monotonic() < until and len(process.ask("/v1/models")["data"]) < 2:
                time.sleep(0.05)
            done.set()
            thread.join()
            assert [m["id"] for m in process.ask("/v1/models")["data"]] == ["m", "n"]
            assert failed == []
            assert answered > 0


PRICES = """currency = "EUR"
[[price]]
model = "m"
valid_from = 2026-01-01
input = "1000"
output = "1000"
"""


def test_a_teams_key_budget_limits_and_ledger_hold_together(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock_model() as mock:
        more = ["[books]", "prices = 'prices.toml'", "[server.limits.'team:*']"]
        configure(folder, mock, more=[*more, "requests_per_minute = 3"])
        (folder / "prices.toml").write_text(PRICES)
        assert execute(["token", "new", "ci", "--team", "shop", "--scope", "model:*"]) == 0
        secret = capsys.readouterr().out.strip()
        assert execute(["budget", "set", "team:shop", "1"]) == 0
        with serving(folder) as process:
            process.wait_until_it_says("Authorization: Bearer")
            with pytest.raises(HTTPError, match="401"):
                process.ask("/v1/models")
            wait_ready(process)
            with openai.OpenAI(
                base_url=f"{process.url}/v1", api_key=secret, max_retries=0
            ) as client:
                ask: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
                # 11 tokens at 0.001 each, but as many as the body has bytes are held meanwhile.
                client.chat.completions.create(**ask, max_tokens=50)
                with pytest.raises(openai.RateLimitError) as over:
                    client.chat.completions.create(**ask, max_tokens=5000)
                assert over.value.code == "over-budget"
                client.chat.completions.create(**ask, max_tokens=50)
                with pytest.raises(openai.RateLimitError) as limited:
                    client.chat.completions.create(**ask, max_tokens=50)
                assert limited.value.code == "rate-limited"
        assert execute(["usage", "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert (row["team"], row["calls"], int(row["nanos"])) == ("shop", 2, 22_000_000)
        assert execute(["audit", "verify"]) == 0


def wait_ready(process: Process) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            process.ask("/healthz/ready")
        except HTTPError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("it does not get ready")


def refuses_connections(process: Process) -> None:
    """Wait until the process listens no more."""
    host, _, port = process.url.removeprefix("http://").partition(":")
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)
    raise AssertionError("it goes on listening")


def test_a_request_that_runs_is_answered_before_it_ends(folder: Path) -> None:
    with mock_model() as mock:
        configure(folder, mock, key="k")
        mock.hang_after = 2
        process = Process(folder)
        try:
            with openai.OpenAI(base_url=f"{process.url}/v1", api_key="k", max_retries=0) as client:
                stream = client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hi"}], stream=True
                )
                first = next(stream)
                process.running.send_signal(signal.SIGTERM)
                refuses_connections(process)  # so the signal has come through
                assert process.running.poll() is None
                mock.release()
                rest = [chunk.choices[0].delta.content or "" for chunk in stream]
            assert "".join([first.choices[0].delta.content or "", *rest]) == (
                "Check the memory limit."
            )
            assert process.running.wait(10) == 0
        finally:
            process.end()


def test_the_workflow_of_the_docs_passes_with_the_embedded_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("curl", "jq"):
        require(program)
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(ROOT / ".venv"))  # models stay between runs
    assert execute(["model", "pull", "--if-missing", "smollm2", "minilm"]) == 0
    (folder / "diff.patch").write_bytes(EVAL)
    with serving(folder) as process:
        done = subprocess.run(
            ["bash", "-c", WORKFLOW],
            cwd=folder,
            env={**os.environ, "LLM_URL": process.url},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, b"true\n")
        with openai.OpenAI(base_url=f"{process.url}/v1", api_key="x", max_retries=0) as client:
            assert {m.id for m in client.models.list()} == {"minilm", "smollm2"}
            ask: Any = {
                "model": "smollm2",
                "messages": [{"role": "user", "content": "Say hello."}],
                "max_tokens": 8,
            }
            whole = client.chat.completions.create(**ask).choices[0].message.content
            parts = client.chat.completions.create(**ask, stream=True)
            streamed = [chunk.choices[0].delta.content or "" for chunk in parts]
            assert whole
            assert "".join(streamed) == whole
            assert len([part for part in streamed if part]) > 1
            vector = client.embeddings.create(model="minilm", input="hi").data[0].embedding
            assert sum(x * x for x in vector) == pytest.approx(1, abs=1e-3)
