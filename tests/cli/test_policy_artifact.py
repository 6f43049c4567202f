import json
from collections.abc import Generator
from pathlib import Path

import pytest

from cli.test_promote import POLICY, Run, refusals, run, to_production, to_staging, workplace
from cli.test_release_moving import elsewhere
from lockgate.cli.main import execute
from registries import Running, running_registry

CALL = ("run", "triage", "log", "--engine", "rules")
__all__ = ["run", "workplace"]  # fixtures


@pytest.fixture(scope="module")
def registry() -> Generator[Running]:
    with running_registry() as running:
        yield running


@pytest.fixture(autouse=True)
def owner(workplace: Path) -> None:
    """Add a policy owner to the trust root, and something to run the task on."""
    (workplace / "log").write_text("no space left on device\n")
    trusted = ["--holder", "dora", "--role", "policy-owner", "--sign", "root"]
    assert execute(["key", "new", "dora", "--no-passphrase"]) == 0
    assert execute(["trust", "add", "--key", "dora", *trusted]) == 0


def packed(run: Run, path: str = "policy.toml") -> str:
    status, shown = run("policy", "pack", path)
    assert status == 0, shown
    return shown.splitlines()[0]


def configure(workplace: Path, lines: str) -> None:
    path = workplace / "lockgate.toml"
    text = path.read_text()
    before, _, rest = text.partition("[policy]\n")
    after = rest[rest.index("environment = ") :]
    path.write_text(f"{before}[policy]\n{lines}\n{after}")


def test_a_policy_artifact_decides_once_its_owner_has_signed_it(run: Run, workplace: Path) -> None:
    digest = packed(run)
    configure(workplace, f'artifact = "{digest}"\nsigned = true')
    assert run("release", "attest", "triage:candidate", "--sign", "build")[0] == 0
    status, shown = run("promote", "triage:candidate", "--to", "staging")
    assert (status, refusals(shown)) == (1, ["signatures.policy"]), shown
    assert digest in shown
    assert "lockgate policy approve" in shown
    status, shown = run(*CALL)
    assert status == 2, shown
    assert "signatures.policy" in shown

    status, shown = run("policy", "approve", digest[:20], "--sign", "dora")

    assert status == 0, shown
    to_production(run)
    status, shown = run(*CALL)
    assert status == 0, shown
    (event,) = json.loads(run("audit", "list", "--limit", "1", "--json")[1])
    assert event["detail"]["admission"]["environment"] == "staging"
    promoted = json.loads(run("promote", "triage@staging", "--to", "staging", "--json")[1])
    assert promoted["inputs"]["policyArtifact"] == digest
    assert run("release", "decision", promoted["digest"])[0] == 0


def test_an_approver_cannot_sign_a_policy(run: Run, workplace: Path) -> None:
    digest = packed(run)
    configure(workplace, f'artifact = "{digest}"')
    assert run("policy", "approve", digest, "--sign", "ana")[0] == 0
    assert run("release", "attest", "triage:candidate", "--sign", "build")[0] == 0

    status, shown = run("promote", "triage:candidate", "--to", "staging")

    assert (status, refusals(shown)) == (1, ["signatures.policy"]), shown


def test_a_signature_for_one_environment_does_not_reach_another(run: Run, workplace: Path) -> None:
    digest = packed(run)
    configure(workplace, f'artifact = "{digest}"')
    assert run("policy", "approve", digest, "--sign", "dora", "--to", "staging")[0] == 0
    to_staging(run)
    approve = ("release", "approve", "triage:candidate", "--to", "production", "--sign", "ana")
    assert run(*approve)[0] == 0

    status, shown = run("promote", "triage:candidate", "--to", "production", "--sign", "gate")

    assert (status, refusals(shown)) == (1, ["signatures.policy"]), shown


def test_a_file_is_no_signed_policy_even_if_it_requires_nothing(run: Run, workplace: Path) -> None:
    (workplace / "policy.toml").write_text(
        'name = "lax"\n[environments.staging]\nrequire = "none"\n'
    )
    assert run(*CALL)[0] == 0
    configure(workplace, 'file = "policy.toml"\nsigned = true')

    status, shown = run(*CALL)

    assert status == 2, shown
    assert "`lax` is no artifact" in shown
    configure(workplace, "signed = true")
    status, shown = run(*CALL)
    assert status == 2, shown


def test_a_policy_reaches_another_machine_with_its_signature(
    registry: Running, run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = packed(run)
    assert run("policy", "approve", digest, "--sign", "dora")[0] == 0
    address = f"oci://{registry.host}/house/policy:1"
    assert run("policy", "push", digest, address)[0] == 0
    configure(workplace, f'artifact = "{digest}"\nsigned = true')
    elsewhere(workplace, monkeypatch)
    status, shown = run(*CALL)
    assert status == 2, shown
    assert "lockgate policy pull" in shown

    status, shown = run("policy", "pull", address)

    assert (status, shown.splitlines()[0]) == (0, digest), shown
    listed = json.loads(run("policy", "list", "--json")[1])
    assert listed == [
        {
            "policy": digest,
            "name": "house",
            "environments": ["production", "staging"],
            "inForce": True,
        }
    ]
    assert run("model", "pull", "tiny")[0] == 0
    assert run("release", "build", "triage", "--tag", "candidate")[0] == 0
    to_staging(run)


def test_what_is_no_policy_is_not_pulled_as_one(
    registry: Running, run: Run, workplace: Path
) -> None:
    address = f"oci://{registry.host}/ai/tiny:1"
    assert run("model", "push", "tiny", address)[0] == 0

    status, shown = run("policy", "pull", address)

    assert status == 2, shown
    assert "not a policy" in shown
    assert json.loads(run("policy", "list", "--json")[1]) == []


def test_two_policies_cannot_be_in_force(run: Run, workplace: Path) -> None:
    digest = packed(run)
    configure(workplace, f'file = "policy.toml"\nartifact = "{digest}"')

    status, shown = run(*CALL)

    assert status == 2, shown
    assert "only one policy" in shown
    assert digest in shown


def test_a_policy_with_a_problem_is_not_packed(run: Run, workplace: Path) -> None:
    (workplace / "bad.toml").write_text(POLICY.replace('"signed"', '"sined"'))

    status, shown = run("policy", "pack", "bad.toml")

    assert status == 2, shown
    assert "bad.toml:" in shown
    assert json.loads(run("policy", "list", "--json")[1]) == []


def test_the_same_policy_has_the_same_digest_and_is_explained_by_it(
    run: Run, workplace: Path
) -> None:
    (workplace / "copy.toml").write_text((workplace / "policy.toml").read_text())
    digest = packed(run)
    assert packed(run, "copy.toml") == digest

    status, shown = run("policy", "explain", digest, "--environment", "staging")

    assert status == 0, shown
    assert shown == run("policy", "explain", "policy.toml", "--environment", "staging")[1]
    status, shown = run("policy", "explain", "sha256:" + "0" * 64)
    assert status == 2, shown
