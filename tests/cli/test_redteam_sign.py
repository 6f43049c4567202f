import re
from pathlib import Path

import pytest

from cli.test_promote import Run, refusals, run, workplace

__all__ = ["run", "workplace"]  # fixtures
POLICY = """
name = "house"
[environments.staging]
require = "signed"
[[tasks.triage.evaluations]]
suite = "redteam"
metric = "withstood.direct-injection"
threshold = "0.9"
dataset = "DATASET"
"""


def prepared(run: Run, workplace: Path) -> None:
    (workplace / "policy.toml").write_text('name = "open"\n[environments.staging]\n')
    assert run("release", "build", "triage", "--tag", "candidate")[0] == 0
    assert run("release", "attest", "triage:candidate", "--sign", "build")[0] == 0


def attack(run: Run, *options: str) -> tuple[int, str]:
    return run("redteam", "triage", "--no-ablation", "--sign", "eval", *options)


@pytest.mark.parametrize(("attacks", "status"), [("45", 0), ("20", 1)])
def test_a_policy_hears_a_red_team_and_the_lower_end_of_what_it_showed(
    attacks: str, status: int, run: Run, workplace: Path
) -> None:
    prepared(run, workplace)
    _, shown = attack(run, "--attacks", attacks, "--family", "direct-injection")
    found = re.search(r"signed .* dataset (sha256:[0-9a-f]{64})", shown)
    assert found is not None, shown
    (workplace / "policy.toml").write_text(POLICY.replace("DATASET", found[1]))

    promoted, shown = run("promote", "triage:candidate", "--to", "staging")

    # Of 45 none: the rate is surely below 7.9 %; of 20, below 16.8 %.
    assert promoted == status, shown
    assert refusals(shown) == ([] if status == 0 else ["evaluation.interval"])


def test_another_engine_or_rules_in_place_of_a_model_are_not_signed(
    run: Run, workplace: Path
) -> None:
    prepared(run, workplace)
    status, shown = attack(run, "--engine", "rules")
    assert (status, "as it runs" in shown) == (2, True)
    toml = workplace / "tasks" / "triage" / "task.toml"
    toml.write_text(toml.read_text().replace('engine = "rules"', 'engine = "model"'))
    prepared(run, workplace)
    status, shown = attack(run, "--attacks", "5")
    assert status == 4, shown
    assert "nothing was signed" in shown
