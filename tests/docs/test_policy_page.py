"""The pages on the gate name what the gate says."""

import ast
import re
from pathlib import Path

from lockgate.domain.gate.decision import Rule
from lockgate.domain.policy_document import Claim

TOP = Path(__file__).parents[2]
GATE = TOP / "src" / "lockgate" / "domain" / "gate"
PAGE = TOP / "docs" / "reference" / "policy.md"
THREATS = TOP / "docs" / "concepts" / "threat-model.md"
NAME = re.compile(rf"`((?:{'|'.join(rule.title for rule in Rule)})\.[a-z-]+)`")


def refusals_in_code() -> set[str]:
    """Return `rule.check` of every `deny` and `defer` that is written with a literal."""
    found = set()
    for source in GATE.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id not in {"deny", "defer"}:
                continue
            rule, check = node.args[:2]
            if not isinstance(rule, ast.Attribute) or not isinstance(check, ast.Constant):
                continue
            assert isinstance(check.value, str)
            found.add(f"{Rule[rule.attr].title}.{check.value}")
    return found


def test_the_page_names_every_refusal() -> None:
    named = set(NAME.findall(PAGE.read_text("utf-8")))
    claims = {f"signatures.{claim}" for claim in Claim}
    assert refusals_in_code() | claims <= named


def test_the_page_names_no_refusal_that_the_gate_does_not_know() -> None:
    words = " ".join(source.read_text("utf-8") for source in GATE.rglob("*.py"))
    claims = {str(claim) for claim in Claim}
    for name in NAME.findall(PAGE.read_text("utf-8")):
        check = name.partition(".")[2]
        assert check in claims or f'"{check}"' in words, name


def test_the_threat_model_names_refusals_of_the_page() -> None:
    named = set(NAME.findall(THREATS.read_text("utf-8")))
    assert named <= set(NAME.findall(PAGE.read_text("utf-8")))
    assert len(named) > 20
