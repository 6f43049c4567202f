"""Under load, a gateway is told to end, and to read its configuration again."""

import json
import resource
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self
from urllib.error import HTTPError

import pytest

from cli.test_serve import EVAL, Process, configure, folder, put, serving, wait_ready
from lockgate.cli.main import execute
from security.asking import Asking
from security.talking import CHAT
from upstream.mock_model import MockModel
from waiting import wait_until

__all__ = ["folder"]
CLIENTS = 8


class Load:
    """Clients that ask without a pause, each with a name of its own for each request."""

    def __init__(self, process: Process, *, kept: bool) -> None:
        host, _, port = process.address.rpartition(":")
        self._place = (host, int(port))
        self._kept = kept
        self.answered: set[str] = set()
        self.broken: list[str] = []
        """What went wrong, with the name of the request."""
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask_on, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _ask_on(self, number: int) -> None:
        count = 0
        while not self._done.is_set():
            with closing(HTTPConnection(*self._place, timeout=10)) as connection:
                while not self._done.is_set():
                    count += 1
                    if not self._ask(connection, f"{number}-{count}"):
                        return
                    if not self._kept or connection.sock is None:
                        break

    def _ask(self, connection: HTTPConnection, name: str) -> bool:
        stream = hash(name) % 2 == 0
        body = json.dumps({**CHAT, "user": name, "stream": stream})
        try:
            connection.request("POST", "/v1/chat/completions", body)
            response = connection.getresponse()
            data = response.read()
        except (OSError, HTTPException) as error:
            self.broken.append(f"{name}: {error!r}")
            return False
        whole = b"[DONE]" in data if stream else b"limit." in data
        if response.status != 200 or not whole:
            self.broken.append(f"{name}: {response.status}, {data[:200]!r}")
            return False
        self.answered.add(name)
        return True


@pytest.mark.parametrize("kept", [False, True], ids=["new connections", "kept connections"])
def test_no_request_that_was_taken_is_lost_when_the_gateway_ends(
    folder: Path, mock: MockModel, *, kept: bool
) -> None:
    configure(folder, mock)
    process = Process(folder)
    try:
        wait_ready(process)
        with Load(process, kept=kept) as load:
            wait_until(lambda: len(load.answered) > 10 * CLIENTS)
            process.running.send_signal(signal.SIGTERM)
            assert process.running.wait(20) == 0
        taken = {request["user"] for request in mock.requests}
        assert taken == load.answered
        assert len(load.broken) == CLIENTS  # each was turned away in the end
        assert not any(": 5" in reason for reason in load.broken), load.broken
    finally:
        process.end()


def outcomes(process: Process) -> int:
    """Count the reloads that have ended."""
    said = ("was read again", "stays as it was")
    return sum(any(words in line for words in said) for line in tuple(process.said))


def test_no_request_fails_while_the_configuration_is_read_again_and_again(
    folder: Path, mock: MockModel
) -> None:
    configure(folder, mock)
    text = (folder / "lockgate.toml").read_text()
    with serving(folder) as process:
        wait_ready(process)
        with Load(process, kept=True) as kept, Load(process, kept=False) as new:
            for number in range(4):
                wrong = "\nnonsense = 1" if number == 2 else ""
                put(folder, f"{text}\n[server.cache]\nttl_s = {number}\n{wrong}")
                before = len(kept.answered) + len(new.answered)
                process.running.send_signal(signal.SIGHUP)
                wait_until(lambda at=before: len(kept.answered) + len(new.answered) > at + 30)  # type: ignore[misc]
                # The file is read when the signal has come through: nothing replaces it before.
                wait_until(lambda seen=number: outcomes(process) == seen + 1)  # type: ignore[misc]
        assert kept.broken == []
        assert new.broken == []
        process.wait_until_it_says("the configuration stays as it was")


def test_a_call_that_was_accepted_is_there_after_the_configuration_was_read_again(
    folder: Path, mock: MockModel
) -> None:
    configure(folder, mock)
    with serving(folder) as process:
        wait_ready(process)
        headers = {"Prefer": "respond-async", "Idempotency-Key": "k", "Content-Type": "text/plain"}
        accepted = process.ask("/v1/tasks/review?engine=rules", EVAL, **headers)
        wait_until(lambda: process.ask(accepted["url"])["status"] == "done")
        process.running.send_signal(signal.SIGHUP)
        process.wait_until_it_says("the configuration was read again")
        assert process.ask(accepted["url"])["answer"]["risk"] == "high"
        again = process.ask("/v1/tasks/review?engine=rules", EVAL, **headers)
        assert again["id"] == accepted["id"]


def test_a_revoked_key_is_refused_on_the_connection_that_it_opened(
    folder: Path, mock: MockModel
) -> None:
    configure(folder, mock, key="k")
    with serving(folder) as process:
        wait_ready(process)
        host, _, port = process.address.rpartition(":")
        with closing(HTTPConnection(host, int(port), timeout=10)) as connection:

            def status() -> int:
                connection.request("GET", "/v1/models", headers={"Authorization": "Bearer k"})
                response = connection.getresponse()
                response.read()
                return response.status

            assert status() == 200
            before = connection.sock.getsockname()
            configure(folder, mock, key="another")
            process.running.send_signal(signal.SIGHUP)
            process.wait_until_it_says("the configuration was read again")
            assert status() == 401
            assert isinstance(connection.sock, socket.socket)
            assert connection.sock.getsockname() == before


def test_taking_the_last_key_away_opens_the_gateway_to_nobody(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["token", "new", "ci", "--team", "ops"]) == 0
    assert execute(["token", "revoke", "ci"]) == 0
    capsys.readouterr()
    with serving(folder) as process:
        wait_ready(process)
        for path in ("/v1/models", "/admin/keys"):
            with pytest.raises(HTTPError, match="401"):
                process.ask(path)


@pytest.mark.parametrize(("soft", "hard"), [(160, 160), (160, 500)])
def test_clients_that_leave_connections_open_take_neither_all_files_nor_all_places(
    folder: Path, mock: MockModel, soft: int, hard: int
) -> None:
    """A thousand idle connections, the usual limit of files, and nobody else was answered."""
    configure(folder, mock)
    path = folder / "socket"
    serve = [sys.executable, "-m", "lockgate", "serve", "--listen", f"unix:{path}"]
    limited = ["bash", "-c", f'ulimit -Sn {soft}; ulimit -Hn {hard}; exec "$@"', "bash", *serve]
    running = subprocess.Popen(limited, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        client = Asking(path)
        client.wait_ready()
        assert resource.prlimit(running.pid, resource.RLIMIT_NOFILE) == (hard, hard)
        with ExitStack() as stack:
            for _ in range(hard + 50):
                idle = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                idle.settimeout(10)
                idle.connect(str(path))
                idle.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert idle.recv(4096).startswith(b"HTTP/1.1 200")
            assert client.ask("/healthz/ready")[0] == 200
            assert client.ask("/v1/chat/completions", CHAT)[0] == 200
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0
