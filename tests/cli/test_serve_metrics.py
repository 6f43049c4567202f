"""What the dashboard and the alerts look at, in the metrics of a gateway that has had traffic."""

import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from cli.test_serve import EVAL, Process, serving
from lockgate.telemetry.table import TABLE
from lockgate.telemetry.views import ALERTS, VIEWS
from price_files import price_file
from upstream.mock_model import MockModel

BY_ACCIDENT = {
    "lockgate_retries_denied_total",
    "lockgate_shed_total",
    "lockgate_checkpoint_failures_total",
}
"""What has no series before it has happened, and does not happen here."""
CONFIG = """
[server.limits."route:completions"]
requests_per_minute = 1
[server.cache]
ttl_s = 60
[server.fallbacks]
dead = ["m"]
[books]
prices = "prices.toml"
[backends.there]
kind = "openai"
url = "http://127.0.0.1:{port}/v1"
data_classes = ["internal"]
models = {{ m = "m" }}
[backends.gone]
kind = "openai"
url = "http://127.0.0.1:{closed}/v1"
data_classes = ["internal"]
models = {{ dead = "dead" }}
"""


def ask(process: Process, path: str, body: Any, kind: str = "application/json") -> int:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(f"{process.url}{path}", data, {"content-type": kind})  # noqa: S310
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            answer.read()
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def traffic(process: Process, mock: MockModel) -> None:
    """Let happen once what panels show."""
    chat, hello = "/v1/chat/completions", [{"role": "user", "content": "hello"}]
    key = [{"role": "user", "content": "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"}]
    for _ in range(2):
        assert ask(process, chat, {"model": "m", "messages": hello}) == 200
    assert ask(process, chat, {"model": "m", "messages": hello, "stream": True}) == 200
    assert ask(process, chat, {"model": "m", "messages": key}) == 200
    for _ in range(20):
        assert ask(process, chat, {"model": "dead", "messages": hello}) == 200
    texts = [ask(process, "/v1/completions", {"model": "m", "prompt": "x"}) for _ in range(2)]
    assert texts == [200, 429]
    assert ask(process, "/review?engine=rules", EVAL, "text/plain") == 200
    mock.answer = b"no HTTP\r\n\r\n"
    assert ask(process, chat, {"model": "m", "messages": [*hello, *hello]}) == 502


def test_all_that_panels_and_alerts_name_has_data_after_traffic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock: MockModel
) -> None:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    (tmp_path / "lockgate.toml").write_text(CONFIG.format(port=mock.port, closed=closed))
    (tmp_path / "prices.toml").write_text(price_file(m=("1000", "1000"), dead=("1", "1")))
    with serving(tmp_path) as process:
        traffic(process, mock)
        with urlopen(f"{process.url}/metrics", timeout=30) as answer:  # noqa: S310
            page = answer.read().decode()

    texts = [text for view in VIEWS for _, text in view.expressions]
    texts += [alert.expression for alert in ALERTS]
    named = set(re.findall(r"(?<![:\w])(?:lockgate|process)_[a-z_]+", " ".join(texts)))
    series = {re.split(r"[{ ]", line)[0] for line in page.splitlines() if line[:1] != "#"}
    assert len(named) > 30
    assert named - series <= BY_ACCIDENT
    assert {metric.name for metric in TABLE if metric.name in BY_ACCIDENT} == BY_ACCIDENT
