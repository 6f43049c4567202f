import copy
from collections.abc import Callable
from typing import Any

import pytest

from lockgate.domain.call import Draft
from lockgate.domain.verdict import Outcome
from lockgate.tasks.release_notes import checks
from lockgate.tasks.release_notes.task import ReleaseNotes
from tasks.release_notes.fakes import context, sha

GIVEN: dict[str, Any] = {
    "repository": {"name": "r", "url": None, "forge": None},
    "range": {
        "expression": "v1..v2",
        "start": {"name": "v1", "sha": sha(9), "tag": "v1"},
        "end": {"name": "v2", "sha": sha(1), "tag": "v2"},
        "date": "2024-01-01",
        "previous_tag": "v1",
        "paths": [],
    },
    "commits": [
        {"sha": sha(1), "subject": "feat!: drop x"},
        {"sha": sha(2), "subject": "feat: add y"},
        {"sha": sha(3), "subject": "Bump z", "bot": True},
    ],
}


def draft() -> dict[str, Any]:
    """Return the output of a good draft, to be spoilt."""
    made = ReleaseNotes().rules(GIVEN, context())
    return copy.deepcopy(dict(made.output))


def outcome(check: Any, output: dict[str, Any]) -> Outcome:
    verdict = check.judge(GIVEN, Draft(output=output))
    return Outcome(verdict.outcome)


def _unknown_commit(output: dict[str, Any]) -> None:
    output["sections"][0]["entries"][0]["commits"] = [sha(77)]


def _no_commit(output: dict[str, Any]) -> None:
    output["sections"][0]["entries"][0]["commits"] = []


def _lost_entry(output: dict[str, Any]) -> None:
    del output["sections"][1]


def _lost_omission(output: dict[str, Any]) -> None:
    output["omitted"] = []


def _wrong_count(output: dict[str, Any]) -> None:
    output["omitted"][0]["count"] = 2


def _both(output: dict[str, Any]) -> None:
    output["omitted"][0]["commits"].append(sha(1))
    output["omitted"][0]["count"] = 2


def _foreign_omission(output: dict[str, Any]) -> None:
    output["omitted"][0]["commits"].append(sha(77))
    output["omitted"][0]["count"] = 2


def _order(output: dict[str, Any]) -> None:
    output["sections"].reverse()


def _empty_section(output: dict[str, Any]) -> None:
    output["sections"][1]["entries"] = []


def _hidden_break(output: dict[str, Any]) -> None:
    output["sections"][1]["entries"][0]["breaking"] = True


def _no_summary(output: dict[str, Any]) -> None:
    output["summary"]["text"] = ""


def _long_summary(output: dict[str, Any]) -> None:
    output["summary"]["text"] = "x" * 2000


def _two_paragraphs(output: dict[str, Any]) -> None:
    output["summary"]["text"] = "a\n\nb"


def _long_entry(output: dict[str, Any]) -> None:
    output["sections"][1]["entries"][0]["text"] = "x" * 2000


def _invented(output: dict[str, Any]) -> None:
    output["summary"]["parts"][0] |= {"engine": "model", "text": "drops x in Python 3.12"}


def _leaked(output: dict[str, Any]) -> None:
    output["summary"]["parts"][0] |= {"engine": "model", "text": "drops <secret:aws:1>"}


def _strange_placeholder(output: dict[str, Any]) -> None:
    output["sections"][0]["entries"][0]["text"] = "drop <secret:aws:1>"


def _foreign_part(output: dict[str, Any]) -> None:
    output["summary"]["parts"][0]["entry"] = "nowhere"


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("citations", _unknown_commit), ("citations", _no_commit),
        ("coverage", _lost_entry), ("coverage", _lost_omission), ("coverage", _wrong_count),
        ("coverage", _both), ("coverage", _foreign_omission),
        ("sections", _order), ("sections", _empty_section), ("sections", _hidden_break),
        ("sections", _no_summary),
        ("length", _long_summary), ("length", _two_paragraphs), ("length", _long_entry),
        ("grounding", _invented), ("grounding", _foreign_part),
        ("secrets", _leaked), ("secrets", _strange_placeholder),
    ],
)  # fmt: skip
def test_a_spoilt_draft_fails_the_check_that_holds_the_promise(
    name: str, spoil: Callable[[dict[str, Any]], None]
) -> None:
    check = next(c for c in checks.ALL if c.name == name)
    output = draft()
    assert outcome(check, output) == Outcome.PASS

    spoil(output)

    assert outcome(check, output) == Outcome.FAIL


def test_the_names_of_the_checks_are_unique() -> None:
    assert len({c.name for c in checks.ALL}) == len(checks.ALL)
