"""Every rule of every analyser against its own examples."""

import pytest

from lockgate.domain.redact import Redaction
from lockgate.tasks.review.analyse import Analysis
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.diff import parse
from lockgate.tasks.review.rule import Example, Rule

ANALYSIS = Analysis()
RULES = list(ANALYSIS.rules.values())
REDACTIONS = (
    Redaction(placeholder="<secret:github-pat:1>", rule="github-pat", description="token"),
)


def cases(which: str) -> list[object]:
    return [
        pytest.param(rule, example, id=f"{rule.id}-{at}")
        for rule in RULES
        for at, example in enumerate(getattr(rule, which))
    ]


def found(example: Example) -> set[str]:
    removed = "".join(f"-{line}\n" for line in example.removed)
    added = "".join(f"+{line}\n" for line in example.added)
    headers = "".join(f"{line}\n" for line in example.headers)
    old, new = len(example.removed), len(example.added)
    hunk = f"@@ -1,{old} +1,{new} @@\n{removed}{added}" if old or new else ""
    text = (
        f"diff --git a/{example.path} b/{example.path}\n{headers}"
        + (f"--- a/{example.path}\n+++ b/{example.path}\n" if hunk else "")
        + hunk
    )
    findings, _ = ANALYSIS.findings(Change(files=parse(text), redactions=REDACTIONS))
    return {finding.rule for finding in findings}


@pytest.mark.parametrize(("rule", "example"), cases("positives"))
def test_a_rule_finds_its_positives(rule: Rule, example: Example) -> None:
    assert rule.id in found(example)


@pytest.mark.parametrize(("rule", "example"), cases("negatives"))
def test_a_rule_leaves_its_negatives(rule: Rule, example: Example) -> None:
    assert rule.id not in found(example)


def test_every_rule_says_what_to_do_and_has_a_negative_example() -> None:
    for rule in RULES:
        assert rule.message.endswith("."), rule.id
        assert rule.help.endswith("."), rule.id
        assert rule.negatives, rule.id


def test_rules_have_ids_of_their_own() -> None:
    listed = [rule.id for analyser in ANALYSIS.analysers for rule in analyser.rules]

    assert len(listed) == len(set(listed))
