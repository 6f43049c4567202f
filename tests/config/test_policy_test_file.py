from collections.abc import Sequence

import pytest

from lockgate.config.load import Problem
from lockgate.config.policy_file import check_policy
from lockgate.config.policy_test_file import PolicyTest, check_tests
from lockgate.domain.gate.scenario import ask
from lockgate.domain.policy_document import PolicyDocument

POLICY = """
name = "acme"
[teams]
platform = ["ana", "ben"]
[environments.staging]
require = "signed"
[environments.production]
require = "promoted"
approvals = 1
owners = ["platform"]
after = "staging"
soak_hours = 24
licences = ["Apache-2.0"]
verdict_max_age_days = 60
break_glass = ["rollback", "freeze"]
[environments.production.attestations]
model = ["provenance", "bom"]
[[environments.production.evaluations]]
suite = "core"
metric = "accuracy"
threshold = "0.9"
max_regression = "0.01"
"""
GIVEN = """
keys = [
  { holder = "ci", roles = ["builder"] },
  { holder = "lab", roles = ["evaluator"] },
  { holder = "ana", roles = ["approver"] },
  { holder = "gone", roles = ["approver"], expired = true },
  { holder = "gate", roles = ["gate"] },
]
[given]
task = "triage"
environment = "production"
built_by = "ci"
bom_by = "ci"
hours_in_previous_stage = 30
pins = [
  { role = "text", name = "m", kind = "model", licences = ["Apache-2.0"], formats = ["gguf"] },
  { role = "index", name = "i", kind = "index", embedder = "m" },
  { role = "eval-dataset", name = "d", kind = "dataset" },
]
evaluations = [{ by = "lab", suite = "core", metric = "accuracy", value = "0.93" }]
approvals = [{ by = "ana" }]
"""
RESULT = 'by = "lab", suite = "core", metric = "accuracy"'


def read_tests(text: str) -> tuple[PolicyTest, ...]:
    checked = check_tests(GIVEN + text)
    assert isinstance(checked, tuple), checked
    return checked


def shortfall(text: str) -> str:
    policy = check_policy(POLICY)
    assert isinstance(policy, PolicyDocument)
    (test,) = read_tests(f'[[tests]]\nname = "x"\n{text}')
    return test.shortfall(ask(test.scenario, policy))


@pytest.mark.parametrize(
    "text",
    [
        'expect = "allow"',
        f'expect = "allow"\nrunning = [{{ {RESULT}, value = "0.94" }}]',
        f'expect = "deny"\nrule = "evaluation.regression"\nrunning = [{{ {RESULT}, value = "1" }}]',
        'expect = "deny"\nrule = "evaluation.baseline"\nrunning = []',
        'expect = "deny"\nrule = "3"\nbuilt_by = ""',
        'expect = "deny"\nrule = "signatures.bom"\nonly = true\nbom_by = "stranger"',
        f'expect = "deny"\nrule = "4"\nonly = true\nevaluations = [{{ {RESULT}, value = "0.89" }}]',
        (
            f'expect = "deny"\nrule = "evaluation.interval"\nonly = true\n'
            f'evaluations = [{{ {RESULT}, value = "0.91", lower = "0.88", upper = "0.94" }}]'
        ),
        'expect = "deny"\nrule = "5"\nonly = true\napprovals = [{ by = "gone" }]',
        (
            'expect = "deny"\nrule = "separation-of-duties.veto"\n'
            'approvals = [{ by = "ana", decision = "rejected" }]'
        ),
        'expect = "defer"\nrule = "environment.soak"\nhours_in_previous_stage = 3',
        'expect = "deny"\nrule = "environment.rollback"\nonly = true\nask = "rollback"',
        'expect = "allow"\nask = "rollback"\nverdict = { by = "gate" }',
        (
            'expect = "allow"\nask = "rollback"\n'
            'approvals = [{ by = "ana", decision = "break-glass" }]'
        ),
        'expect = "allow"\nask = "admit"\nverdict = { by = "gate" }',
        (
            'expect = "deny"\nrule = "environment.admitted"\nask = "admit"\n'
            'verdict = { by = "gate", age_days = 61 }'
        ),
        'expect = "deny"\nrule = "environment.known"\nenvironment = "prod"',
        (
            'expect = "deny"\nrule = "coherence.embedder"\n'
            'pins = [{ role = "index", name = "i", kind = "index", embedder = "other" }]'
        ),
        (
            'expect = "deny"\nrule = "closure.missing"\n'
            'pins = [{ role = "text", name = "m", kind = "model", missing = true }]'
        ),
        (
            'expect = "deny"\nrule = "artifact-safety.chat-template"\n'
            'pins = [{ role = "text", name = "m", kind = "model", unsafe_template = "x" }]'
        ),
    ],
)
def test_a_scenario_means_what_it_says(text: str) -> None:
    assert shortfall(text) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('expect = "deny"', "expected `deny`, the policy says `allow`"),
        (
            'expect = "deny"\nrule = "closure.missing"\napprovals = []',
            "expected a refusal by `closure.missing`, refused by: separation-of-duties.approvals",
        ),
        (
            'expect = "deny"\nonly = true\nevaluations = []\napprovals = []',
            "expected one refusal, refused by: evaluation.missing, separation-of-duties.approvals",
        ),
    ],
)
def test_a_test_that_does_not_hold_says_what_was_expected_and_what_came(
    text: str, problem: str
) -> None:
    assert shortfall(text) == problem


def problems(text: str) -> Sequence[Problem]:
    checked = check_tests(text)
    assert not isinstance(checked, tuple)
    return checked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`tests` is missing"),
        ('[[tests]]\nname = "x"\nexpect = "deny"\n', "`tests.0.task` is missing here and in"),
        ('[[tests]]\nname = "x"\nexpect = "no"\n', "`allow`, `defer` or `deny`"),
        ('[[tests]]\nname = "x"\nexpect = "deny"\naproved = 1\n', "is not a setting"),
    ],
)
def test_problems_of_a_test_file_are_told(text: str, message: str) -> None:
    assert any(message in p.message for p in problems(text)), problems(text)
