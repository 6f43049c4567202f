import pytest

from lockgate.checks.length import LengthCheck
from lockgate.domain.call import Draft
from lockgate.domain.verdict import Outcome
from lockgate.ports import Check

DRAFT = Draft(output={"title": "four", "body": ["12345", {"x": "678", "n": 10}]})


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(0, 12, "PASS"), (12, 12, "PASS"), (0, 11, "FAIL"), (13, 99, "FAIL")],
)
def test_all_texts_count_and_both_bounds_belong_to_it(least: int, most: int, expected: str) -> None:
    check = LengthCheck("length", max_characters=most, min_characters=least)

    assert check.judge({}, DRAFT).outcome.name == expected


def test_one_member_can_be_measured_alone() -> None:
    check: Check = LengthCheck("title", max_characters=3, member="title")

    verdict = check.judge({}, DRAFT)

    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "`title` has 4 characters, allowed are 0 to 3"


def test_a_missing_member_has_no_text() -> None:
    check = LengthCheck("title", max_characters=3, min_characters=1, member="missing")

    assert check.judge({}, DRAFT).outcome is Outcome.FAIL


def test_bounds_that_nothing_can_meet_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no length"):
        LengthCheck("x", max_characters=1, min_characters=2)
