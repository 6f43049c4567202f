import http.server
import json
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml

from lockgate.telemetry.dashboard import dashboard
from lockgate.telemetry.metrics import CONTENT_TYPE, Metrics
from lockgate.telemetry.promql import gauge, quantile, rate
from lockgate.telemetry.rules import rule_file
from lockgate.telemetry.table import TABLE
from lockgate.telemetry.views import ALERTS, VIEWS
from programs import require

VARIANT = ("smollm2", "3", "docs@1", "sha256:0", "-")


def lively() -> Metrics:
    """Metrics with some series of each kind."""
    metrics = Metrics()
    metrics.counter("lockgate_requests_total").labels("chat", "200").inc(5)
    metrics.counter("lockgate_responses_total").labels("refused", *VARIANT).inc(2)
    metrics.histogram("lockgate_request_seconds").labels("chat").observe(0.2)
    metrics.gauge("lockgate_breaker_open").labels("local").set(1)
    return metrics


def promtool(*arguments: str, text: bytes | None = None) -> str:
    program = require("promtool", package="prometheus")
    done = subprocess.run(
        [program, *arguments], input=text, capture_output=True, check=False, timeout=60
    )
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, output
    return output


def test_promtool_takes_the_rule_file(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rule_file())
    assert "SUCCESS" in promtool("check", "rules", str(tmp_path / "rules.yml"))


def test_promtool_finds_nothing_to_say_of_a_scrape() -> None:
    assert promtool("check", "metrics", text=lively().exposition()) == ""


def test_every_expression_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    panels = json.loads(dashboard())["panels"]
    expressions = [t["expr"] for panel in panels for t in panel.get("targets", [])]
    assert len(expressions) == sum(len(view.expressions) for view in VIEWS)
    rules = [{"record": f"r{n}", "expr": text} for n, text in enumerate(expressions)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "rules.yml"))


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rule_file())
    series = [
        ('lockgate_requests_total{route="chat",code="200"}', "0+90x30"),
        ('lockgate_requests_total{route="chat",code="500"}', "0+10x30"),
        ('lockgate_breaker_open{upstream="local"}', "0x10 1x20"),
        ("lockgate_open_requests", "0x10 stale _x20"),
    ]
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in series],
                "alert_rule_test": [
                    _expected("LockgateErrors", "More than 5 % of the requests fail", "page", {}),
                    _expected(
                        "LockgateBreakerOpen",
                        "The circuit of local is open",
                        "page",
                        {"upstream": "local"},
                    ),
                    _expected(
                        "LockgateAbsent",
                        "No gateway is scraped: none runs, or the key of Prometheus has ended",
                        "page",
                        {},
                    ),
                    {"eval_time": "10m", "alertname": "LockgateAbsent", "exp_alerts": []},
                    {"eval_time": "20m", "alertname": "LockgateSheds", "exp_alerts": []},
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(tests))
    assert "SUCCESS" in promtool("test", "rules", str(tmp_path / "test.yml"))


def _expected(name: str, summary: str, severity: str, labels: dict[str, str]) -> dict[str, object]:
    alert = {
        "exp_labels": {"severity": severity, **labels},
        "exp_annotations": {"summary": summary},
    }
    return {"eval_time": "20m", "alertname": name, "exp_alerts": [alert]}


def test_views_and_alerts_name_only_what_the_table_or_a_recording_has() -> None:
    known = {metric.name for metric in TABLE}
    for metric in TABLE:
        if metric.buckets:
            known |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    recorded = {view.record for view in VIEWS}
    texts = [text for view in VIEWS for _, text in view.expressions]
    for text in [*texts, *(alert.expression for alert in ALERTS)]:
        for name in re.findall(r"[a-z:_0-9]*lockgate_[a-z_0-9:]+", text):
            assert name in (recorded if ":" in name else known), text


def test_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    panels = json.loads(dashboard())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: rate("lockgate_nothing_total"),
        lambda: rate("lockgate_requests_total", "team"),
        lambda: rate("lockgate_requests_total", where='team="x"'),
        lambda: rate("lockgate_open_requests"),
        lambda: quantile(0.5, "lockgate_requests_total"),
        lambda: gauge("lockgate_requests_total"),
    ],
)
def test_an_expression_over_what_is_not_there_cannot_be_written(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match="lockgate_"):
        wrong()


def test_a_real_prometheus_scrapes_us_and_evaluates_the_rules(tmp_path: Path) -> None:
    program = require("prometheus")
    with serving(lively().exposition()) as port:
        (tmp_path / "rules.yml").write_text(rule_file().replace("30s", "1s"))
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [
                {"job_name": "lockgate", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            ],
        }
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        web = free_port()
        process = subprocess.Popen(
            [
                program,
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{web}",
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            value = poll(web, 'lockgate_requests_total{route="chat",code="200"}')
            assert value == "5"
            assert poll(web, "lockgate_request_seconds_count") == "1"
            assert poll(web, 'ALERTS{alertname="LockgateBreakerOpen"}') == "1"
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def serving(body: bytes) -> Generator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", CONTENT_TYPE)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def free_port() -> int:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    port: int = server.server_address[1]
    server.server_close()
    return port


def poll(port: int, query: str) -> str:
    """Ask until there is an answer, at most half a minute."""
    address = f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': query})}"
    pause = threading.Event()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                found = json.load(response)["data"]["result"]
        except OSError:
            found = []
        if found:
            value: str = found[0]["value"][1]
            return value
        pause.wait(0.2)
    raise AssertionError(f"no answer to {query}")


def test_the_guide_says_what_to_do_at_each_alert() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guides" / "operation.md"
    told = re.findall(r"^\| `(Lockgate\w+)` \|", guide.read_text("utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(alert.name for alert in ALERTS)
