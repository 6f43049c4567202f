"""The reference names everything that there is."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from lockgate.cli.main import program
from lockgate.tasks.review.task import Review

TOP = Path(__file__).parents[2]
REFERENCE = TOP / "docs" / "reference"
COMMON = {"engine", "degraded", "degraded_reasons", "evidence", "confidence", "release"}
FIRST_CELL = re.compile(r"^\| ([^|]+) \|", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")


def names(page: Path) -> set[str]:
    """Return the words in code in the first column of a page's tables."""
    cells = FIRST_CELL.findall(page.read_text("utf-8"))
    return {name for cell in cells for name in CODE.findall(cell)}


def test_a_printed_answer_has_the_members_of_the_schema_and_those_that_every_answer_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path))
    printed = CliRunner().invoke(program, ["run", "review", "--engine", "rules", "--json"], "")
    schema_members = Review().spec.output_schema["properties"]
    assert isinstance(schema_members, dict)

    assert printed.exit_code == 0, printed.output
    assert set(json.loads(printed.stdout)) == {*schema_members, *COMMON}
    assert names(REFERENCE / "json.md") >= COMMON


def test_the_page_on_exports_names_every_member_of_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path))
    runner = CliRunner()
    runner.invoke(program, ["run", "review", "--engine", "rules"], "")
    event = json.loads(runner.invoke(program, ["audit", "export"]).stdout.splitlines()[0])

    assert names(REFERENCE / "audit-export.md") == {*event, *event["detail"]}


def test_the_page_on_dependencies_names_exactly_those_of_the_package() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[\[><=]", line)[0] for line in project["dependencies"]}
    page = (TOP / "docs" / "dependencies.md").read_text("utf-8")
    assert {cell.strip() for cell in FIRST_CELL.findall(page)} - {"package"} == wanted
