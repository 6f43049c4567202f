import pytest

from lockgate.app.guards import guard_of, pipeline_of
from lockgate.config.guard_settings import GuardClassSettings, GuardSettings
from lockgate.config.schema import validate
from lockgate.config.settings import Config
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action
from lockgate.errors import InvalidConfig
from lockgate.guards.secrets import SecretGuard
from lockgate.guards.values import ValueGuard

CANARY = "q7Zp3VtX9LmK2w"


def test_without_settings_tasks_have_the_guard_of_secrets_alone() -> None:
    assert isinstance(guard_of(GuardSettings()), SecretGuard)


def test_settings_of_one_data_class_hold_for_it_alone() -> None:
    guard = guard_of(GuardSettings(confidential=GuardClassSettings(personal=Action.REDACT)))

    assert isinstance(guard, ValueGuard)
    assert guard.sanitise("a@acme.io").value == "a@acme.io"
    assert (
        guard.sanitise("a@acme.io", data_class=DataClass.CONFIDENTIAL).value == "<personal:email:1>"
    )


def test_a_file_sets_everything_that_the_pipeline_does() -> None:
    config = validate(
        {
            "guards": {
                "internal": {"personal": "redact", "links": "redact", "restore_personal": True},
                "rules": {"ipv4": "off"},
                "allowed_hosts": ["docs.acme.io"],
                "canaries": [CANARY],
            }
        }
    )
    assert isinstance(config, Config)
    pipeline = pipeline_of(config.guards)

    scanned = pipeline.scan_input("a@acme.io from 81.2.69.142")
    stream = pipeline.output_stream(scanned)

    assert scanned.text == "<personal:email:1> from 81.2.69.142"
    assert (
        stream.feed("<personal:email:1> https://docs.acme.io/a https://evil.io/b ")
        == "a@acme.io https://docs.acme.io/a <links:url:2>"
    )
    assert stream.feed(CANARY) + stream.finish() == " "


def test_an_unknown_action_is_refused_where_the_file_is_read() -> None:
    flaws = validate({"guards": {"public": {"personal": "hide"}}})

    assert isinstance(flaws, list)
    assert "guards.public.personal" in flaws[0].message


def test_an_unknown_rule_is_refused_when_the_guards_are_built() -> None:
    with pytest.raises(InvalidConfig, match="`emial`"):
        pipeline_of(GuardSettings(rules={"emial": Action.OFF}))
