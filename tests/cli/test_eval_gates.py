"""`lockgate eval` with gates: baselines, policies, samples and early ends, from the outside."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from lockgate.app.evals import EvalOptions, evaluate
from lockgate.app.evals_evaluated import Evaluated, evaluated
from lockgate.cli.main import execute
from lockgate.cli.output import Silence
from lockgate.cli.session import Session
from lockgate.config.environment import Environment

from .test_eval import ECHO, workplace

__all__ = ["workplace"]


def line(number: int, *, right: bool = True) -> str:
    wanted = f"case {number}" if right else "other"
    case = {"vars": {"x": f"case {number}"}, "assert": [{"type": "equals", "value": wanted}]}
    return json.dumps(case) + "\n"


def prepare(folder: Path, gate: str, count: int = 60) -> None:
    (folder / "promptfooconfig.yaml").write_text(f"{ECHO}tests: c.jsonl\nx-gate: {gate}\n")
    (folder / "c.jsonl").write_text("".join(line(number) for number in range(count)))


def test_a_json_report_is_the_baseline_of_the_next_run(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(workplace, "{}")
    assert execute(["eval", "-o", "base.json"]) == 0
    prepare(workplace, "{quality: [{baseline: true, margin: 0.1}]}")

    assert execute(["eval", "--baseline", "base.json", "-o", "c.md", "-o", "c.html"]) == 0

    assert "PASS         quality/pass-rate by baseline" in capsys.readouterr().out
    assert "### Against the base" in Path("c.md").read_text()
    assert "Against the base" in Path("c.html").read_text()


def test_a_baseline_of_another_dataset_names_both_digests(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(workplace, "{}", count=59)
    assert execute(["eval", "-o", "base.json"]) == 0
    prepare(workplace, "{quality: [{baseline: true}]}")

    assert execute(["eval", "--baseline", "base.json"]) == 2

    assert capsys.readouterr().err.count("sha256:") == 2


def test_a_policy_holds_in_place_of_the_suites_own_gate(workplace: Path) -> None:
    prepare(workplace, "{pass_rate: 0}")
    Path("c.jsonl").write_text("".join(line(n, right=n % 2 == 0) for n in range(60)))
    assert execute(["eval"]) == 0
    Path("policy.yaml").write_text("x-gate:\n  quality:\n    - at_least: 0.9\n")

    assert execute(["eval", "--policy", "policy.yaml", "-o", "r.sarif"]) == 100

    results = json.loads(Path("r.sarif").read_text())["runs"][0]["results"]
    gate = next(r for r in results if r["ruleId"] == "gate.quality/pass-rate")
    place = gate["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("policy.yaml", 3)


def test_a_run_ends_early_when_the_gate_is_sure(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(workplace, "{quality: [{at_least: 0.5}]}", count=400)

    assert execute(["eval", "--stop-early", "--json"]) == 0

    summary = json.loads(capsys.readouterr().out)["summary"]
    assert summary["cases"] + summary["skipped"] == 400
    assert summary["skipped"] > 200
    assert summary["verdicts"][0]["sampled"] is True


def test_a_sample_that_passed_does_not_show_that_all_would(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(workplace, "{}", count=5_000)

    assert execute(["eval", "--max-seconds", "0.000001", "--json"]) == 101

    summary = json.loads(capsys.readouterr().out)["summary"]
    assert summary["skipped"] > 0
    (verdict,) = summary["verdicts"]
    assert (verdict["verdict"], verdict["sampled"]) == ("inconclusive", True)


def test_a_budget_that_is_enough_is_no_sample(workplace: Path) -> None:
    prepare(workplace, "{}", count=5)

    assert execute(["eval", "--max-seconds", "600"]) == 0


def test_an_evaluation_is_bound_to_all_that_it_depends_on(workplace: Path) -> None:
    def run(target: str) -> Evaluated:
        session = Session(Environment.read(os.environ))
        options = EvalOptions(target=target, engine="rules")
        report = asyncio.run(evaluate(session.loaded, session.environment, options, Silence()))
        return evaluated(report)

    prepare(workplace, "{}", count=3)
    first = run("")
    prepare(workplace, "{seed: 8}", count=3)
    changed_gate = run("")
    prepare(workplace, "{seed: 8}", count=4)
    more_cases = run("")
    task = run("review")

    assert (first.cases, first.passed, first.status, first.releases) == (3, 3, "passed", {})
    assert changed_gate.suite_digest != first.suite_digest
    assert (changed_gate.dataset, changed_gate.results) == (first.dataset, first.results)
    assert more_cases.dataset != first.dataset
    assert list(task.releases) == ["lockgate:task:review"]
    assert json.loads(json.dumps(task.document))["digests"]["harness"] == str(first.harness)


def test_a_suite_with_code_is_refused_before_anything_runs(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = f"{ECHO}tests: [{{vars: {{x: a}}, assert: [{{type: python, value: output == 'a'}}]}}]"
    Path("promptfooconfig.yaml").write_text(suite)

    assert execute(["eval"]) == 2
    assert "--allow-code" in capsys.readouterr().err
    assert execute(["eval", "--allow-code"]) == 0
