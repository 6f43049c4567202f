import pytest

from lockgate.checks.pattern import PatternCheck
from lockgate.domain.call import Draft
from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidConfig
from lockgate.ports import Check

DRAFT = Draft(output={"summary": "Run `sudo rm -rf /`", "steps": [{"text": "see #12"}, 3]})


def test_forbidden_text_anywhere_in_the_output_fails() -> None:
    verdict = PatternCheck("no-sudo", forbidden=[r"\bsudo\b"]).judge({}, DRAFT)

    assert (verdict.check, verdict.outcome) == ("no-sudo", Outcome.FAIL)
    assert verdict.reason == "found forbidden text `sudo`"


def test_required_text_may_be_in_any_text_of_the_output() -> None:
    check: Check = PatternCheck("cites", required=[r"#[0-9]+", "Run"])

    assert check.judge({}, DRAFT).outcome is Outcome.PASS
    verdict = check.judge({}, Draft(output={"summary": "Run"}))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, "nothing matches `#[0-9]+`")


def test_names_of_members_are_not_searched() -> None:
    check = PatternCheck("x", forbidden=["summary"])

    assert check.judge({"summary": "x"}, Draft(output={"summary": ""})).outcome is Outcome.PASS


@pytest.mark.parametrize("pattern", ["(", r"(?=a)b", r"(a)\1"])
def test_a_pattern_that_is_not_linear_is_refused(
    pattern: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidConfig, match="is not a pattern"):
        PatternCheck("x", forbidden=[pattern])

    assert capfd.readouterr().err == ""
