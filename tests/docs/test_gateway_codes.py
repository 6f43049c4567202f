"""The guides of the gateway name every code that a client can get, and every alert."""

import re
from pathlib import Path

from lockgate import errors
from lockgate.errors import LockgateError
from lockgate.telemetry.table import TABLE
from lockgate.telemetry.views import ALERTS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "gateway.md").read_text("utf-8")
OPERATION = (ROOT / "docs" / "guides" / "operation.md").read_text("utf-8")
SERVER = ROOT / "src" / "lockgate" / "server"
CLI_ONLY = {"usage"}


def test_every_code_that_the_server_answers_is_in_the_guide() -> None:
    sources = "".join(path.read_text("utf-8") for path in SERVER.glob("*.py"))
    told = set(re.findall(r'HttpFailure\(\s*[\w.]+,\s*"([a-z-]+)"', sources))
    assert len(told) > 10, "they are found where they are made"
    told |= {
        found.code
        for found in vars(errors).values()
        if isinstance(found, type) and issubclass(found, LockgateError)
    }
    table = set(re.findall(r"`([a-z-]+)`", GUIDE.partition("| status | code |")[2]))
    assert told - CLI_ONLY <= table


def test_the_guide_says_what_to_do_about_every_alert_and_looks_at_metrics_that_there_are() -> None:
    table = OPERATION.partition("## When an alert fires")[2]
    assert {alert.name for alert in ALERTS} == set(re.findall(r"\| `(Lockgate\w+)`", table))
    names = set(re.findall(r"`((?:lockgate|process)_[a-z_]+)`", table))
    assert names <= {metric.name for metric in TABLE}
