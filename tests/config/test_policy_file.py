import json
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from lockgate.config.load import Problem
from lockgate.config.policy_file import check_policy, load_policy, policy_schema
from lockgate.domain.policy_document import (
    BreakGlass,
    Claim,
    Comparator,
    EnvironmentRules,
    PolicyDocument,
    Require,
)
from lockgate.errors import InvalidConfig

POLICY = """
name = "acme"
accepted_policies = ["sha256:1111111111111111111111111111111111111111111111111111111111111111"]

[teams]
platform = ["ana", "ben"]
search = ["cleo"]

[defaults]
licences = ["Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"]
owners = ["platform"]
[defaults.attestations]
model = ["provenance"]

[environments.local]

[environments.staging]
require = "signed"

[environments.production]
require = "promoted"
approvals = 2
approval_max_age_days = 7
after = "staging"
soak_hours = 24
break_glass = ["rollback", "freeze"]
verdict_max_age_days = 60
registries = ["registry.example.org/*"]
min_retention_days = 7
max_retention_days = 90
[environments.production.attestations]
model = ["provenance", "bom"]
dataset = []
[[environments.production.freezes]]
reason = "holidays"
starts = "2026-12-20T00:00:00+01:00"
ends = "2027-01-02T00:00:00Z"
[[environments.production.freezes]]
reason = "weekend"
weekdays = ["sun", "fri"]
from_time = "16:30"

[tasks.triage]
owners = ["search"]
[[tasks.triage.evaluations]]
suite = "core"
metric = "accuracy"
threshold = "0.90"
min_samples = 200
max_age_days = 30
max_regression = "0.01"
[[tasks.triage.evaluations]]
suite = "core"
metric = "latency_ms"
comparator = "<="
threshold = "800"
environments = ["production"]
[tasks.triage.environments.production]
approvals = 1
"""


def policy(text: str = POLICY) -> PolicyDocument:
    checked = check_policy(text)
    assert isinstance(checked, PolicyDocument), checked
    return checked


def problems(text: str) -> Sequence[Problem]:
    checked = check_policy(text)
    assert not isinstance(checked, PolicyDocument)
    return checked


def rules(task: str, environment: str) -> EnvironmentRules:
    found = policy().rules(task, environment)
    assert found is not None
    return found


def test_an_environment_takes_what_it_does_not_say_from_the_defaults() -> None:
    production = rules("other", "production")
    assert production.require is Require.PROMOTED
    assert production.licences[0] == "Apache-2.0"
    assert production.owners == ("platform",)
    assert production.attestations == {
        "model": (Claim.PROVENANCE, Claim.BOM),
        "dataset": (),
    }
    assert rules("other", "local").attestations == {"model": (Claim.PROVENANCE,)}
    assert rules("other", "local").require is Require.NONE


def test_a_task_takes_what_it_does_not_say_from_the_environment() -> None:
    production = rules("triage", "production")
    assert (production.approvals, production.owners) == (1, ("search",))
    assert production.soak == timedelta(hours=24)
    assert production.approval_max_age == timedelta(days=7)
    assert production.verdict_max_age == timedelta(days=60)
    assert production.break_glass == (BreakGlass.ROLLBACK, BreakGlass.FREEZE)


def test_an_evaluation_is_required_where_it_says_or_wherever_something_is_required() -> None:
    assert [e.metric for e in rules("triage", "production").evaluations] == [
        "accuracy",
        "latency_ms",
    ]
    assert [e.metric for e in rules("triage", "staging").evaluations] == ["accuracy"]
    assert rules("triage", "local").evaluations == ()
    accuracy, latency = rules("triage", "production").evaluations
    assert (accuracy.threshold, accuracy.max_regression) == (Decimal("0.90"), Decimal("0.01"))
    assert accuracy.max_age == timedelta(days=30)
    assert latency.comparator is Comparator.AT_MOST


def test_freeze_windows_are_read_in_utc() -> None:
    once, weekly = rules("triage", "production").freezes
    assert once.starts == datetime(2026, 12, 19, 23, tzinfo=UTC)
    assert (weekly.weekdays, weekly.from_time, weekly.until_time) == ((4, 6), time(16, 30), None)


def test_an_environment_that_is_not_named_is_not_known() -> None:
    assert policy().rules("triage", "prod") is None


def test_the_digest_is_of_what_the_policy_says_and_not_of_how_it_is_written() -> None:
    assert policy().digest == policy(f"# a comment\n{POLICY}\n").digest
    assert policy().digest == policy(POLICY.replace('"0.90"', '"0.9"')).digest
    assert policy().digest != policy(POLICY.replace('"0.90"', '"0.91"')).digest


PRODUCTION = 'name = "x"\n[environments.production]\n'


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "`name` is missing"),
        ('name = "x"\nenvironment = 1\n', 2, "did you mean `environments`?"),
        (f'{PRODUCTION}require = "promotd"\n', 3, "`none`, `signed` or `promoted`"),
        (f"{PRODUCTION}approvals = -1\n", 3, "greater than or equal to 0"),
        (f'{PRODUCTION}owners = ["plat"]\n', 3, "no team `plat`"),
        (f'{PRODUCTION}after = "prodction"\n', 3, "; did you mean `production`?"),
        (f'{PRODUCTION}after = "production"\n', 3, "`production` would come after itself"),
        (f'{PRODUCTION}formats = ["gguf", "pickle"]\n', 3, "`pickle` runs code"),
        (f'{PRODUCTION}licences = ["Apache 2.0"]\n', 3, "`2.0` follows a whole expression"),
        (f'{PRODUCTION}licences = ["MIT OR ISC"]\n', 3, "one by one"),
        (f'{PRODUCTION}models = ["a*b"]\n', 3, "`*` may only stand at the end"),
        (f'{PRODUCTION}attestations.modle = ["bom"]\n', 3, "`model`"),
        (f"{PRODUCTION}min_retention_days = 9\nmax_retention_days = 8\n", 3, "9, more than"),
        (f'{PRODUCTION}freezes = [{{ reason = "x" }}]\n', 3, "either `starts` and `ends`"),
        (
            f'{PRODUCTION}freezes = [{{ reason = "x", starts = "2026-01-01T00:00:00Z" }}]\n',
            3,
            "needs both",
        ),
        (
            (
                f'{PRODUCTION}freezes = [{{ reason = "x", starts = "2026-01-02T00:00:00Z", '
                'ends = "2026-01-01T00:00:00Z" }]\n'
            ),
            3,
            "before it starts",
        ),
        (
            (
                f'{PRODUCTION}freezes = [{{ reason = "x", weekdays = ["fri"], '
                'from_time = "22:00", until_time = "06:00" }]\n'
            ),
            3,
            "two windows",
        ),
        (f'{PRODUCTION}freezes = [{{ reason = "x", starts = 2026-01-01 }}]\n', 3, "string"),
        (
            f'{PRODUCTION}evaluations = [{{ suite = "s", metric = "m", threshold = "0,9" }}]\n',
            3,
            "`0,9` is not a decimal number",
        ),
        (
            f'{PRODUCTION}evaluations = [{{ suite = "s", metric = "m", threshold = 0.9 }}]\n',
            3,
            "string",
        ),
        (
            (
                f'{PRODUCTION}evaluations = [{{ suite = "s", metric = "m", threshold = "1", '
                'environments = ["production"] }]\n'
            ),
            3,
            "only stand in `tasks.NAME.evaluations`",
        ),
        (
            f'{PRODUCTION}evaluations = [{{ suite = "s", metric = "m", treshold = "1" }}]\n',
            3,
            "did you mean `threshold`?",
        ),
        ('name = "x"\n[tasks.t.environments.prod]\n', 2, "no environment `prod`"),
        ('name = "x"\naccepted_policies = ["sha256:1"]\n', 2, "is not a digest"),
        ('name = "x\n', 1, "not TOML"),
    ],
)
def test_a_problem_is_told_with_its_line(text: str, line: int, message: str) -> None:
    found = problems(text)
    assert any(p.line == line and message in p.message for p in found), found


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'{PRODUCTION}after = "a"\nowners = ["b"]\nformats = ["pickle"]\n')
    with pytest.raises(InvalidConfig, match="3 problems") as caught:
        load_policy(file)
    assert "policy schema" in (caught.value.hint or "")


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="No such file"):
        load_policy(tmp_path / "policy.toml")


def test_stages_in_a_ring_are_refused() -> None:
    text = 'name = "x"\n[environments.a]\nafter = "b"\n[environments.b]\nafter = "a"\n'
    assert ["would come after itself" in p.message for p in problems(text)] == [True, True]


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        ({"name": "x"}, True),
        ({"name": "x", "environments": {"p": {"require": "promoted", "approvals": 2}}}, True),
        ({"name": "x", "environment": {}}, False),
        ({"name": "x", "environments": {"p": {"require": "x"}}}, False),
        ({}, False),
    ],
)
def test_the_published_schema_takes_what_the_program_takes(
    document: dict[str, Any],
    valid: bool,  # noqa: FBT001
) -> None:
    schema: Any = json.loads(json.dumps(policy_schema()))
    assert jsonschema_rs.Draft202012Validator(schema).is_valid(document) is valid
