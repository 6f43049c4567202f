import json
import re
from pathlib import Path

import pytest

from cli.test_promote import Run, decision, refusals, run, workplace

__all__ = ["run", "workplace"]  # fixtures
SUITE = """
providers: ["lockgate:task:triage"]
prompts: ["{{text}}"]
tests:
  - vars: {text: "no space left on device"}
    assert: [{type: contains, value: disk, metric: category}]
  - vars: {text: "connection refused"}
    assert: [{type: contains, value: network, metric: category}]
"""
POLICY = """
name = "house"
[environments.staging]
require = "signed"
[[tasks.triage.evaluations]]
suite = "nightly"
metric = "pass_rate"
threshold = "0.15"
dataset = "DATASET"
"""


@pytest.fixture(autouse=True)
def suite(workplace: Path) -> None:
    (workplace / "nightly.yaml").write_text(SUITE)


def configure(workplace: Path, dataset: str) -> None:
    (workplace / "policy.toml").write_text(POLICY.replace("DATASET", dataset))


def signed(run: Run, *options: str) -> str:
    status, shown = run("eval", "nightly.yaml", "--sign", "eval", *options)
    assert status in {0, 100}, shown
    found = re.search(r"dataset (sha256:[0-9a-f]{64})", shown)
    assert found is not None, shown
    return found[1]


def prepared(run: Run, workplace: Path) -> None:
    (workplace / "policy.toml").write_text('name = "open"\n[environments.staging]\n')
    assert run("release", "build", "triage", "--tag", "candidate")[0] == 0
    assert run("release", "attest", "triage:candidate", "--sign", "build")[0] == 0


def test_a_policy_hears_a_suite_that_an_evaluator_signed(run: Run, workplace: Path) -> None:
    prepared(run, workplace)
    dataset = signed(run)
    configure(workplace, dataset)

    status, shown = run("promote", "triage:candidate", "--to", "staging")

    assert status == 0, shown
    (event,) = [
        event
        for event in json.loads(run("audit", "list", "--json")[1])
        if event["action"] == "release.evaluate"
    ]
    assert event["detail"]["digests"]["dataset"] == dataset


def test_a_suite_with_other_cases_does_not_count(run: Run, workplace: Path) -> None:
    prepared(run, workplace)
    dataset = signed(run)
    (workplace / "nightly.yaml").write_text(SUITE.replace("connection refused", "refused"))
    easier = signed(run)
    assert easier != dataset
    configure(workplace, easier.replace(easier[-4:], "0000"))

    status, shown = run("promote", "triage:candidate", "--to", "staging")

    assert (status, refusals(shown)) == (1, ["evaluation.dataset"]), shown
    assert "the policy names it as" in shown


def test_a_suite_that_failed_is_signed_and_refused(run: Run, workplace: Path) -> None:
    prepared(run, workplace)
    (workplace / "nightly.yaml").write_text(SUITE.replace("value: network", "value: database"))
    configure(workplace, dataset := signed(run))

    status, shown = run("promote", "triage:candidate", "--to", "staging")

    assert status == 1
    assert refusals(shown) == ["evaluation.interval"], shown
    assert "0.012579" in shown  # Clopper and Pearson: 1 of 2
    found = decision(run, "triage:candidate", "--to", "staging")
    assert dataset not in json.dumps(found["findings"])


def test_a_sample_or_another_engine_is_not_signed(run: Run, workplace: Path) -> None:
    prepared(run, workplace)
    status, shown = run("eval", "nightly.yaml", "--sign", "eval", "--max-seconds", "0.000001")
    assert status != 0, shown
    assert "signed sha256" not in shown
    status, shown = run("eval", "nightly.yaml", "--sign", "eval", "--engine", "model")
    assert status == 2, shown
    assert "as it runs" in shown


def test_a_release_that_is_not_built_cannot_be_signed_for(run: Run, workplace: Path) -> None:
    (workplace / "policy.toml").write_text('name = "open"\n[environments.staging]\n')
    prompt = workplace / "tasks" / "triage" / "prompt.j2"
    prompt.write_text(prompt.read_text() + "\nBe brief.\n")

    status, shown = run("eval", "nightly.yaml", "--sign", "eval")

    assert status == 2, shown
    assert "is not here" in shown


def test_a_dataset_in_a_policy_is_a_name_or_a_whole_digest(run: Run, workplace: Path) -> None:
    configure(workplace, "sha256:12")

    status, shown = run("policy", "check", "policy.toml")

    assert status == 1, shown
    assert "sha256:12" in shown


def test_a_release_is_evaluated_by_its_name_if_it_is_what_answers(
    run: Run, workplace: Path
) -> None:
    prepared(run, workplace)

    status, shown = run("eval", "triage:candidate", "--sign", "eval")

    assert status == 0, shown
    digest = json.loads(run("release", "show", "triage:candidate", "--json")[1])["digest"]
    assert f"about triage {digest}" in shown
    prompt = workplace / "tasks" / "triage" / "prompt.j2"
    prompt.write_text(prompt.read_text() + "\nBe brief.\n")
    status, shown = run("eval", "triage:candidate")
    assert status == 2, shown
    assert f"to be evaluated is {digest}, here would answer: sha256:" in shown
    assert run("eval", "triage:nobody")[0] == 2
