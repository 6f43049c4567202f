import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.guard import Category
from lockgate.guards.compiled import RuleSet
from lockgate.guards.pattern import parse
from lockgate.guards.prefixes import Token, beginnings_of, gate_of, is_rare, tokens
from lockgate.guards.rules import Rule, expand, load_rules

RULES = load_rules(Category.SECRETS)
TOKENS = [r for r in RULES if all(isinstance(t, Token) for t in tokens(parse(r.regex)))]
RARE = [r for r in TOKENS if all(map(is_rare, tokens(parse(r.regex))))]


def test_most_rules_for_secrets_are_of_tokens() -> None:
    assert len(TOKENS) > len(RULES) // 2
    assert len(RARE) > len(RULES) // 3


@pytest.mark.parametrize("rule", TOKENS, ids=lambda rule: rule.id)
def test_every_beginning_of_a_token_is_one(rule: Rule) -> None:
    found = [t for t in tokens(parse(rule.regex)) if isinstance(t, Token)]
    opened = re2.compile(f"(?:{beginnings_of(found)})\\z")
    for template in rule.positives:
        start, end = re2.search(rule.regex, expand(template)).span()
        token = expand(template)[start:end]
        assert all(opened.match(token[:size]) for size in range(len(token) + 1))


@pytest.mark.parametrize("rule", RARE, ids=lambda rule: rule.id)
def test_what_a_rule_finds_its_gate_lets_through(rule: Rule) -> None:
    gate = re2.compile(gate_of(t for t in tokens(parse(rule.regex)) if isinstance(t, Token)))
    for template in rule.positives:
        assert gate.search(expand(template))


def test_small_classes_and_choices_become_prefixes() -> None:
    (found,) = tokens(parse(r"\b(do[opr]_v1_[0-9a-f]{64,})"))

    assert found == Token(("doo_v1_", "dop_v1_", "dor_v1_"), "[A-Za-z0-9_-]", 64, r"\b")


@pytest.mark.parametrize(
    "pattern", ["[a-z]{3}x", "ab[a-z]+", r"abc\s+x", "abcd(?i:x)", "abc[^a]+", "abc.x"]
)
def test_what_is_no_token_is_left_as_it_is(pattern: str) -> None:
    assert tokens(parse(pattern)) == [parse(pattern)]


EXAMPLES = [expand(p) for r in TOKENS for p in r.positives]
PIECES = st.sampled_from([*EXAMPLES, *(e[:9] for e in EXAMPLES), "a" * 300, "_", "-", " ", "\n"])


@given(st.lists(PIECES, max_size=5).map("".join), st.data())
def test_no_match_begins_before_where_a_text_is_open(text: str, data: st.DataObject) -> None:
    rules = RULE_SET
    whole = text.encode()
    cut = data.draw(st.integers(0, len(whole)))

    at = rules.open_from(whole[:cut], 0)

    crossing = [raw.start for raw in rules.matches(whole, 0) if raw.start < cut < raw.end]
    assert all(start >= at for start in crossing)


RULE_SET = RuleSet(TOKENS)
