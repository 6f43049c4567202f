import json

import pytest
import yaml

from lockgate.cli.main import execute
from lockgate.telemetry.table import TABLE


def out_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert execute(["metrics", *arguments]) == 0
    return capsys.readouterr().out


def test_the_list_names_every_metric_with_its_bound(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(out_of(capsys, "list", "--json"))
    assert [row["name"] for row in rows] == [metric.name for metric in TABLE]
    assert all(row["most_series"] >= 1 for row in rows)
    assert "lockgate_requests_total" in out_of(capsys, "list")


def test_rules_are_yaml_and_the_dashboard_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(yaml.safe_load(out_of(capsys, "rules"))["groups"]) == 2
    assert json.loads(out_of(capsys, "dashboard"))["title"] == "Lockgate"
