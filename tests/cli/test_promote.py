import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.cli.main import execute
from lockgate.tasks.prompt.folder import create
from oci.samples import file_entry, gguf

GGUF = gguf(10)
POLICY = """
name = "house"
[teams]
platform = ["ana"]
[environments.staging]
require = "signed"
[environments.production]
require = "promoted"
after = "staging"
approvals = 1
owners = ["platform"]
[environments.production.attestations]
model = ["provenance", "bom"]
[[tasks.triage.evaluations]]
suite = "core"
metric = "accuracy"
threshold = "0.2"
environments = ["production"]
"""
HOLDERS = {
    "build": ("ci", "builder"),
    "eval": ("lab", "evaluator"),
    "ana": ("ana", "approver"),
    "gate": ("gate", "gate"),
}

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def work(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        status = execute(list(arguments))
        output = capsys.readouterr()
        return status, output.out + output.err

    return work


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task, its model, keys with roles, and a policy for staging and production."""
    create(tmp_path / "tasks" / "triage", "triage")
    (tmp_path / "w.gguf").write_bytes(GGUF)
    listed = file_entry("w.gguf", GGUF)
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "lockgate.toml").write_text(
        '[policy]\nfile = "policy.toml"\nenvironment = "staging"\n'
        '[models.tiny]\nsource = "file"\npath = "."\nbackend = "llama_cpp"\nlicence = "MIT"\n'
        "[[models.tiny.files]]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in listed.items())
        + '[tasks.triage.models]\ntext = {model = "tiny"}\n'
    )
    monkeypatch.setenv("LOCKGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOCKGATE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    steps = [["model", "pull", "tiny"], ["key", "new", "root", "--no-passphrase"]]
    steps.append(["trust", "init", "--sign", "root", "--holder", "head"])
    for key, (holder, role) in HOLDERS.items():
        steps.append(["key", "new", key, "--no-passphrase"])
        steps.append(
            ["trust", "add", "--key", key, "--holder", holder, "--role", role, "--sign", "root"]
        )
    steps.append(["release", "build", "triage", "--tag", "candidate"])
    for step in steps:
        assert execute(step) == 0
    return tmp_path


def to_staging(run: Run, reference: str = "triage:candidate") -> None:
    for step in (
        ("release", "attest", reference, "--sign", "build"),
        ("release", "evaluate", reference, "--sign", "eval"),
        ("promote", reference, "--to", "staging"),
    ):
        status, shown = run(*step)
        assert status == 0, shown


def to_production(run: Run, reference: str = "triage:candidate") -> None:
    to_staging(run, reference)
    approve = ("release", "approve", reference, "--to", "production", "--sign", "ana")
    assert run(*approve)[0] == 0
    status, shown = run("promote", reference, "--to", "production", "--sign", "gate")
    assert status == 0, shown


def change_prompt(workplace: Path, text: str) -> None:
    prompt = workplace / "tasks" / "triage" / "prompt.j2"
    prompt.write_text(prompt.read_text() + text)


def refusals(shown: str) -> list[str]:
    return [line.split()[2].rstrip(":") for line in shown.splitlines() if line.startswith("deny  ")]


def decision(run: Run, *arguments: str) -> Any:
    _, shown = run("promote", *arguments, "--json")
    return json.loads(shown.partition("\ndecision")[0])


def test_a_release_goes_to_production_with_all_that_the_policy_asks_for(run: Run) -> None:
    to_production(run)

    (listed,) = json.loads(run("release", "list", "--json")[1])
    assert sorted(listed["environments"]) == ["production", "staging"]
    status, shown = run("release", "verify", "triage@production", "--json")
    assert status == 0
    assert len(json.loads(shown)["attestations"]) == 9
    assert run("audit", "verify")[0] == 0


def test_an_unsigned_release_is_refused_for_each_artifact(run: Run) -> None:
    status, shown = run("promote", "triage:candidate", "--to", "staging")

    assert status == 1
    assert refusals(shown) == ["signatures.provenance"] * 4
    assert run("release", "show", "triage@staging")[0] == 2


def test_every_missing_thing_is_told_at_once(run: Run) -> None:
    status, shown = run("promote", "triage:candidate", "--to", "production", "--sign", "gate")

    assert status == 1
    assert {"signatures.bom", "evaluation.missing", "separation-of-duties.approvals"} <= {
        *refusals(shown)
    }


def test_the_builder_may_not_approve(run: Run) -> None:
    add = ["--key", "ana", "--holder", "ci", "--role", "approver", "--role", "builder"]
    assert run("trust", "add", *add, "--sign", "root")[0] == 0
    to_staging(run)
    run("release", "approve", "triage:candidate", "--to", "production", "--sign", "ana")

    status, shown = run("promote", "triage:candidate", "--to", "production", "--sign", "gate")

    assert status == 1
    assert refusals(shown) == ["separation-of-duties.approvals"]
    assert "ci" in shown


def test_a_key_without_the_role_counts_for_nothing(run: Run) -> None:
    assert run("release", "attest", "triage:candidate", "--sign", "ana")[0] == 0

    status, shown = run("promote", "triage:candidate", "--to", "staging")

    assert status == 1
    assert refusals(shown) == ["signatures.provenance"] * 4
    assert "`ana` has the roles approver, needed: builder" in shown


def test_an_evaluation_of_another_release_counts_for_nothing(run: Run, workplace: Path) -> None:
    to_production(run)
    change_prompt(workplace, "\nBe brief.\n")
    assert run("release", "build", "triage", "--tag", "next")[0] == 0
    run("release", "attest", "triage:next", "--sign", "build")
    run("release", "approve", "triage:next", "--to", "production", "--sign", "ana")
    run("promote", "triage:next", "--to", "staging")

    status, shown = run("promote", "triage:next", "--to", "production", "--sign", "gate")

    assert status == 1
    assert refusals(shown) == ["evaluation.missing"]


JUNIT = '<testsuite><testcase name="a"/><testcase name="b">{}</testcase></testsuite>'


def test_a_policy_that_asks_for_tests_hears_what_any_test_runner_reported(
    run: Run, workplace: Path
) -> None:
    asks = '[environments.staging]\nrequire = "signed"\nattestations = {release = ["test-result"]}'
    (workplace / "policy.toml").write_text(
        POLICY.replace('[environments.staging]\nrequire = "signed"', asks)
    )
    assert run("release", "attest", "triage:candidate", "--sign", "build")[0] == 0
    promote = ("promote", "triage:candidate", "--to", "staging")
    assert refusals(run(*promote)[1]) == ["signatures.test-result"]
    (workplace / "junit.xml").write_text(JUNIT.format("<skipped/>"))

    tested = ("release", "attest-tests", "triage:candidate", "junit.xml", "--sign")
    assert run(*tested, "build")[0] == 0
    assert refusals(run(*promote)[1]) == ["signatures.test-result"]  # no evaluator
    status, shown = run(*tested, "eval")
    assert status == 0, shown
    assert "WARNED: 1 passed, 0 failed, 1 skipped" in shown
    status, shown = run(*promote)
    assert status == 0, shown

    (workplace / "junit.xml").write_text(JUNIT.format("<failure/>"))
    status, shown = run(*tested, "eval")
    assert (status, "the first: b" in shown) == (0, True), shown
    assert refusals(run(*promote)[1]) == ["signatures.test-result"]


def test_a_result_counts_only_if_its_criterion_was_signed_before(run: Run, workplace: Path) -> None:
    (workplace / "policy.toml").write_text(
        POLICY.replace('threshold = "0.2"', 'threshold = "0.2"\npreregistered = true')
    )
    assert run("key", "new", "dora", "--no-passphrase")[0] == 0
    owner = ("--key", "dora", "--holder", "dora", "--role", "policy-owner", "--sign", "root")
    assert run("trust", "add", *owner)[0] == 0
    to_staging(run)
    reference = "triage@staging"
    approve = ("release", "approve", reference, "--to", "production", "--sign", "ana")
    assert run(*approve)[0] == 0
    promote = ("promote", reference, "--to", "production", "--sign", "gate")
    assert refusals(run(*promote)[1]) == ["evaluation.registration"]

    register = ("policy", "register", reference, "--to", "production", "--sign")
    status, shown = run(*register, "dora")
    assert (status, "core accuracy >= 0.2 on sha256:" in shown) == (0, True), shown
    status, shown = run(*promote)
    assert refusals(shown) == ["evaluation.registration"]
    assert "was registered at" in shown
    assert run("release", "evaluate", reference, "--sign", "eval")[0] == 0
    status, shown = run(*promote)
    assert status == 0, shown

    assert "asks for no evaluation" in run(*register[:3], "--to", "staging", "--sign", "dora")[1]
    assert "policy.register" in run("audit", "list", "--json")[1]


def test_a_comparison_shows_what_trusted_evaluators_measured(run: Run, workplace: Path) -> None:
    to_staging(run)
    change_prompt(workplace, "\nBe brief.\n")
    cases = workplace / "tasks" / "triage" / "cases.jsonl"
    cases.write_text("".join(cases.read_text().splitlines(keepends=True)[:2]))
    assert run("release", "build", "triage", "--tag", "next")[0] == 0
    assert run("release", "attest", "triage:next", "--sign", "build")[0] == 0
    assert run("release", "evaluate", "triage:next", "--sign", "eval")[0] == 0
    # Signed by a holder who is no evaluator: it is not heard.
    assert run("release", "evaluate", "triage:next", "--sign", "ana")[0] == 0

    status, shown = run("release", "diff", "triage:candidate", "triage:next", "--json")

    assert status == 0, shown
    found = {item["what"]: item for item in json.loads(shown)}
    (name,) = (what for what in found if what.startswith("evaluation "))
    assert "datasets differ" in name
    assert found[name]["before"].endswith("on 3 case(s)")
    assert found[name]["after"].endswith("on 2 case(s)")
    keys = json.loads(run("trust", "show", "--json")[1])["keys"]
    (lab,) = [key["fingerprint"] for key in keys if key["holder"] == "lab"]
    assert run("trust", "revoke", lab, "--sign", "root")[0] == 0
    shown = run("release", "diff", "triage:candidate", "triage:next")[1]
    assert "evaluation" not in shown


def test_a_revoked_key_takes_its_word_back(run: Run) -> None:
    to_staging(run)
    keys = json.loads(run("trust", "show", "--json")[1])["keys"]
    (build,) = [key["fingerprint"] for key in keys if key["holder"] == "ci"]
    assert run("trust", "revoke", build, "--sign", "root")[0] == 0

    status, shown = run("promote", "triage:candidate", "--to", "staging")

    assert status == 1
    assert set(refusals(shown)) == {"signatures.provenance"}
    assert "revoked" in shown


def test_a_changed_byte_of_the_model_is_refused_with_both_digests(
    run: Run, workplace: Path
) -> None:
    to_staging(run)
    blobs = workplace / "data" / "models" / "blobs" / "sha256"
    (weights,) = [path for path in blobs.iterdir() if path.read_bytes() == GGUF]
    weights.chmod(0o600)
    weights.write_bytes(GGUF[:-1] + b"\1")

    status, shown = run("promote", "triage:candidate", "--to", "staging")

    assert status == 1
    assert "closure.changed" in refusals(shown)
    assert f"sha256:{weights.name}" in shown
    status, shown = run("release", "verify", "triage:candidate")
    assert (status, "BAD" in shown) == (1, True)


def test_a_promotion_needs_the_gates_key_where_verdicts_are_required(run: Run) -> None:
    to_staging(run)
    run("release", "approve", "triage:candidate", "--to", "production", "--sign", "ana")

    status, shown = run("promote", "triage:candidate", "--to", "production")

    assert status == 2
    assert "give the gate's key with `--sign KEY`" in shown
    assert run("release", "show", "triage@production")[0] == 2


def test_explaining_changes_nothing(run: Run) -> None:
    to_staging(run)
    before = run("audit", "list", "--json")[1]

    status, shown = run("promote", "triage@staging", "--to", "production", "--explain")

    assert status == 1
    assert "allow  1 closure.intact" in shown
    assert run("audit", "list", "--json")[1] == before


def test_a_refusal_is_in_the_audit_log_with_its_decision(run: Run) -> None:
    made = decision(run, "triage:candidate", "--to", "staging")

    event = json.loads(run("audit", "list", "--json")[1])[0]
    assert event["action"] == "release.promote"
    assert event["detail"]["outcome"] == "deny"
    assert event["detail"]["decision"] == made["digest"]


def test_the_engine_runs_what_was_promoted_and_nothing_else(run: Run, workplace: Path) -> None:
    configuration = workplace / "lockgate.toml"
    configuration.write_text(configuration.read_text().replace("staging", "production"))
    (workplace / "log").write_text("no space left on device\n")
    call = ("run", "triage", "log", "--format", "json")

    status, shown = run(*call)
    assert status == 2
    assert "which requires `promoted`" in shown

    configuration.write_text(configuration.read_text().replace('"production"', '"staging"'))
    to_production(run)
    configuration.write_text(configuration.read_text().replace('"staging"', '"production"', 1))
    status, shown = run(*call)
    assert status == 0, shown
    assert '"category": "disk"' in shown
    detail = json.loads(run("audit", "show", "last", "--json")[1])["detail"]
    assert detail["admission"]["require"] == "promoted"
    assert (
        detail["release"]
        == json.loads(run("release", "show", "triage@production", "--json")[1])["digest"]
    )

    change_prompt(workplace, "\nBe brief.\n")
    status, shown = run(*call)
    assert status == 2
    assert "the promoted release of `triage` was made of" in shown


def test_a_rollback_needs_nothing_but_the_verdict_of_then(run: Run, workplace: Path) -> None:
    to_production(run)
    first = json.loads(run("release", "show", "triage@production", "--json")[1])["digest"]
    change_prompt(workplace, "\nBe brief.\n")
    assert run("release", "build", "triage", "--tag", "next")[0] == 0
    to_production(run, "triage:next")
    assert json.loads(run("release", "show", "triage@production", "--json")[1])["digest"] != first

    again = ("promote", "triage:next", "--to", "production", "--sign", "gate")
    assert run(*again)[0] == 0  # what ran before it is still the first
    back = ("rollback", "triage", "--in", "production", "--reason", "slower", "--sign", "gate")
    status, shown = run(*back)

    assert status == 0, shown
    assert json.loads(run("release", "show", "triage@production", "--json")[1])["digest"] == first
    event = json.loads(run("audit", "list", "--json")[1])[0]
    assert (event["action"], event["detail"]["reason"]) == ("release.rollback", "slower")
    status, shown = run(*back)
    assert (status, "that was not rolled back" in shown) == (2, True), shown


def test_nothing_can_be_rolled_back_to_where_nothing_ran(run: Run) -> None:
    status, shown = run("rollback", "triage", "--in", "production", "--reason", "x")

    assert status == 2
    assert "nothing ran in `production` for the task `triage` before" in shown


def test_a_release_that_was_never_in_production_is_no_rollback(run: Run) -> None:
    to_staging(run)
    candidate = ("--release", "triage:candidate")

    status, shown = run(
        "rollback", "triage", "--in", "production", *candidate, "--reason", "x", "--sign", "gate"
    )

    assert status == 1
    assert any(name.startswith("environment.") for name in refusals(shown)), shown


def test_a_past_decision_is_made_again_from_what_it_rested_on(run: Run, workplace: Path) -> None:
    refused = decision(run, "triage:candidate", "--to", "production", "--sign", "gate")["digest"]
    to_production(run)
    allowed = json.loads(run("audit", "list", "--json")[1])[0]["detail"]["decision"]
    # All that has changed since does not matter: policy, trust root, what runs.
    (workplace / "policy.toml").write_text(POLICY.replace("approvals = 1", "approvals = 3"))
    keys = json.loads(run("trust", "show", "--json")[1])["keys"]
    (build,) = [key["fingerprint"] for key in keys if key["holder"] == "ci"]
    assert run("trust", "revoke", build, "--sign", "root")[0] == 0

    for digest, verdict in ((refused, "deny"), (allowed, "allow")):
        status, shown = run("release", "decision", digest)
        assert (status, shown.splitlines()[-1]) == (0, f"{verdict}: the same bytes as then"), shown
    status, shown = run("release", "decision", f"sha256:{'0' * 64}")
    assert (status, "no decision" in shown) == (2, True)
