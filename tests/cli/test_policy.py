import json
from pathlib import Path

import pytest

from lockgate.cli.main import execute

POLICY = """
name = "acme"
[environments.production]
require = "promoted"
approvals = 1
"""
TESTS = """
keys = [{ holder = "ci", roles = ["builder"] }, { holder = "ana", roles = ["approver"] }]
[given]
task = "triage"
environment = "production"
built_by = "ci"
approvals = [{ by = "ana" }]
[[tests]]
name = "an approved release is allowed"
expect = "allow"
[[tests]]
name = "an unapproved release is allowed"
expect = "allow"
approvals = []
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    (tmp_path / "policy_test.toml").write_text(TESTS)
    return file


def test_a_policy_without_problems_exits_0(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["policy", "check", str(policy)]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"{policy}: no problems\n")


def test_problems_are_listed_with_lines_and_exit_1(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.write_text(POLICY.replace("approvals", "aprovals"))
    assert execute(["policy", "check", str(policy)]) == 1
    told = "`environments.production.aprovals` is not a setting; did you mean `approvals`?"
    assert capsys.readouterr().out == f"{policy}:5: {told}\n"
    assert execute(["policy", "check", str(policy), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "file": str(policy),
        "digest": None,
        "problems": [{"line": 5, "message": told}],
    }


def test_explain_says_what_each_rule_demands(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["policy", "explain", str(policy), "--task", "triage"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("production, task triage\n  1 closure:")
    assert "5 separation-of-duties:  1 approvals by people who neither built nor" in shown
    assert execute(["policy", "explain", str(policy), "--json"]) == 0
    (only,) = json.loads(capsys.readouterr().out)["environments"]
    assert only["rules"]["require"] == "promoted"


def test_explain_refuses_an_environment_that_is_not_there(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["policy", "explain", str(policy), "--environment", "prod"]) == 2
    assert "knows no environment `prod`" in capsys.readouterr().err


def test_failing_tests_exit_1_and_show_every_refusal(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["policy", "test", str(policy)]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "ok      an approved release is allowed",
        "FAILED  an unapproved release is allowed",
        "        expected `allow`, the policy says `deny`",
        (
            "        deny separation-of-duties.approvals: release `triage` 0.0.0 has 0 of the 1 "
            "approvals required for `production`, by: none"
        ),
    ]
    assert shown.err == f"{policy}: 1 of 2 tests hold\n"


def test_tests_that_hold_exit_0(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = policy.with_name("good.toml")
    good.write_text(TESTS.rpartition("[[tests]]")[0])
    assert execute(["policy", "test", str(policy), "--tests", str(good), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["tests"]
    assert answer["holds"] is True
    assert answer["decision"]["verdict"] == "allow"


def test_a_policy_without_tests_says_where_to_write_them(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.with_name("policy_test.toml").unlink()
    assert execute(["policy", "test", str(policy)]) == 2
    assert "hint: write the policy's tests to `policy_test.toml`" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "member"), [([], "environments"), (["--tests"], "tests")])
def test_the_schema_is_printed(
    flag: list[str], member: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["policy", "schema", *flag]) == 0
    assert member in json.loads(capsys.readouterr().out)["properties"]


def test_a_new_policy_has_no_problems_and_its_tests_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "governance"
    assert execute(["policy", "new", str(folder)]) == 0
    assert execute(["policy", "check", str(folder / "policy.toml")]) == 0
    assert execute(["policy", "test", str(folder / "policy.toml")]) == 0, capsys.readouterr().out


def test_a_policy_that_is_there_is_not_replaced(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["policy", "new", str(policy.parent)]) == 2
    assert policy.read_text() == POLICY
    assert "is there already" in capsys.readouterr().err


def test_a_policy_that_cannot_be_written_is_a_failure_of_storage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert execute(["policy", "new", str(tmp_path / "file" / "folder")]) == 4
    assert "cannot write to" in capsys.readouterr().err


REGISTERED = """
keys = [
    { holder = "ci", roles = ["builder"] },
    { holder = "lab", roles = ["evaluator"] },
    { holder = "dora", roles = ["policy-owner"] },
]
[given]
task = "triage"
environment = "production"
built_by = "ci"
pins = [{ role = "eval-dataset", name = "core", kind = "dataset" }]
[[tests]]
name = "a criterion that its owner signed beforehand is enough"
expect = "allow"
evaluations = [
    { by = "lab", suite = "core", metric = "accuracy", value = "0.95", registered_by = "dora" }
]
[[tests]]
name = "one that the evaluator signed is not"
expect = "deny"
rule = "evaluation.registration"
evaluations = [
    { by = "lab", suite = "core", metric = "accuracy", value = "0.95", registered_by = "lab" },
]
"""


def test_a_policys_tests_can_say_who_registered_a_criterion(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.write_text(
        'name = "house"\n[environments.production]\nrequire = "signed"\n'
        '[[environments.production.evaluations]]\nsuite = "core"\nmetric = "accuracy"\n'
        'threshold = "0.9"\npreregistered = true\n'
    )
    policy.with_name("policy_test.toml").write_text(REGISTERED)
    assert execute(["policy", "test", str(policy)]) == 0, capsys.readouterr()
    assert execute(["policy", "explain", str(policy), "--environment", "production"]) == 0
    assert "registered by a policy owner before it is measured" in capsys.readouterr().out
