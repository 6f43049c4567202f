import pytest

from lockgate.checks.required_members import RequiredMembersCheck
from lockgate.domain.call import Draft
from lockgate.domain.digest import Json
from lockgate.domain.verdict import Outcome
from lockgate.ports import Check

CHECK: Check = RequiredMembersCheck("complete", ["title", "body"])


@pytest.mark.parametrize("value", [None, "", " \n", [], {}])
def test_a_blank_member_fails(value: Json) -> None:
    verdict = CHECK.judge({}, Draft(output={"title": "x", "body": value}))

    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, "nothing under `body`")


@pytest.mark.parametrize("value", ["x", 0, 0.0, False, [None], {"a": None}])
def test_a_member_that_says_something_passes(value: Json) -> None:
    verdict = CHECK.judge({}, Draft(output={"title": "x", "body": value}))

    assert verdict.outcome is Outcome.PASS


def test_every_missing_member_is_named() -> None:
    assert CHECK.judge({}, Draft(output={})).reason == "nothing under `title`, `body`"
