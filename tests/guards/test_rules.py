import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from lockgate.guards.rules import Rule, entropy, expand, load_rules
from lockgate.guards.secrets import SecretGuard

RULES = load_rules()
GUARD = SecretGuard()

POSITIVES = [
    pytest.param(r, text, id=f"{r.id}-{i}") for r in RULES for i, text in enumerate(r.positives)
]
NEGATIVES = [
    pytest.param(r, text, id=f"{r.id}-{i}") for r in RULES for i, text in enumerate(r.negatives)
]


@pytest.mark.parametrize(("rule", "template"), POSITIVES)
def test_a_rule_finds_its_positives(rule: Rule, template: str) -> None:
    text = expand(template)

    sanitised = GUARD.sanitise({"text": text})

    assert rule.id in {r.rule for r in sanitised.redactions}
    match = re2.search(rule.regex, text)
    assert match.group(rule.group) not in str(sanitised.value)


@pytest.mark.parametrize(("rule", "text"), NEGATIVES)
def test_a_rule_leaves_its_negatives(rule: Rule, text: str) -> None:
    assert rule.id not in {r.rule for r in GUARD.sanitise({"text": text}).redactions}


def test_every_rule_has_both_kinds_of_examples_and_an_id_of_its_own() -> None:
    assert all(r.positives and r.negatives for r in RULES)
    assert len({r.id for r in RULES}) == len(RULES) >= 40


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_pattern_is_linear_and_every_match_holds_a_keyword(rule: Rule) -> None:
    # RE2 takes no pattern that it cannot match in linear time.
    pattern, _ = re2.compile(rule.regex), re2.compile(rule.allowed)
    for template in rule.positives:
        match = pattern.search(expand(template))
        assert match is not None
        assert any(keyword in match.group(0).lower() for keyword in rule.keywords)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_no_example_in_the_package_could_be_taken_for_a_secret(rule: Rule) -> None:
    # Else pushing this repository would be stopped by other people's scanners.
    for text in rule.positives:
        assert rule.id not in {r.rule for r in GUARD.sanitise(text).redactions}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_keywords_are_lower_case(rule: Rule) -> None:
    assert rule.keywords
    assert all(keyword == keyword.lower() and keyword for keyword in rule.keywords)


def test_entropy_is_in_bits_a_character() -> None:
    assert (entropy("aaaa"), entropy("abcd"), entropy("aabb")) == (0.0, 2.0, 1.0)


@given(st.text(min_size=1))
def test_entropy_lies_between_none_and_one_of_each(text: str) -> None:
    assert entropy(text) + 1e-9 >= 0
    assert entropy(text) <= entropy("".join(chr(i) for i in range(len(text)))) + 1e-9


def test_a_template_becomes_varied_characters_of_its_class() -> None:
    text = expand("k={a-f0-9:32};")

    assert re2.fullmatch("k=[a-f0-9]{32};", text)
    assert entropy(text[2:-1]) > 3
