import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from lockgate.guards.rules import Rule, entropy, load_rules
from lockgate.guards.secrets import SecretGuard

RULES = load_rules()
GUARD = SecretGuard()
TOKEN = next(r for r in RULES if r.id == "github-pat").positives[0].removeprefix("token ")

POSITIVES = [
    pytest.param(r, text, id=f"{r.id}-{i}") for r in RULES for i, text in enumerate(r.positives)
]
NEGATIVES = [
    pytest.param(r, text, id=f"{r.id}-{i}") for r in RULES for i, text in enumerate(r.negatives)
]


@pytest.mark.parametrize(("rule", "text"), POSITIVES)
def test_a_rule_finds_its_positives(rule: Rule, text: str) -> None:
    sanitised = GUARD.sanitise({"text": text})

    assert rule.id in {r.rule for r in sanitised.redactions}


@pytest.mark.parametrize(("rule", "text"), NEGATIVES)
def test_a_rule_leaves_its_negatives(rule: Rule, text: str) -> None:
    assert rule.id not in {r.rule for r in GUARD.sanitise({"text": text}).redactions}


def test_every_rule_has_both_kinds_of_examples_and_an_id_of_its_own() -> None:
    assert all(r.positives and r.negatives for r in RULES)
    assert len({r.id for r in RULES}) == len(RULES) >= 40


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_pattern_is_linear_and_every_match_holds_a_keyword(rule: Rule) -> None:
    pattern = re2.compile(rule.regex)  # RE2 takes no pattern that it cannot match in linear time
    for text in rule.positives:
        match = pattern.search(text)
        assert match is not None
        assert any(keyword in text.lower() for keyword in rule.keywords)


def test_the_same_secret_has_the_same_placeholder_and_another_has_another() -> None:
    other = TOKEN[:-1] + ("a" if TOKEN[-1] != "a" else "b")

    sanitised = GUARD.sanitise([f"a {TOKEN}", {TOKEN: f"{other} {TOKEN}"}])

    assert sanitised.value == [
        "a <secret:github-pat:1>",
        {"<secret:github-pat:1>": "<secret:github-pat:2> <secret:github-pat:1>"},
    ]
    assert [r.placeholder for r in sanitised.redactions] == [
        "<secret:github-pat:1>",
        "<secret:github-pat:2>",
    ]


def test_a_placeholder_that_the_input_holds_is_not_given_to_a_secret() -> None:
    sanitised = GUARD.sanitise(["<secret:github-pat:1>", TOKEN])

    assert sanitised.value == ["<secret:github-pat:1>", "<secret:github-pat:2>"]


def test_a_key_block_in_an_added_part_of_a_diff_is_taken_out_whole() -> None:
    block = next(r for r in RULES if r.id == "private-key").positives[1]

    sanitised = GUARD.sanitise(f"@@ -0,0 +1,3 @@\n{block}")

    assert sanitised.value == "@@ -0,0 +1,3 @@\n+<secret:private-key:1>"


TEXTS = st.recursive(
    st.text() | st.integers() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(TEXTS)
def test_sanitising_twice_changes_nothing_more(value: object) -> None:
    once = GUARD.sanitise(value)  # type: ignore[arg-type]

    assert GUARD.sanitise(once.value).value == once.value


@given(before=st.text(), after=st.text(), depth=st.integers(0, 4))
def test_no_planted_secret_survives_anywhere(before: str, after: str, depth: int) -> None:
    value: object = f"{before} {TOKEN} {after}"
    for _ in range(depth):
        value = {"deeper": [value]}

    assert TOKEN not in str(GUARD.sanitise(value).value)  # type: ignore[arg-type]


def test_entropy_is_in_bits_a_character() -> None:
    assert (entropy("aaaa"), entropy("abcd"), entropy("aabb")) == (0.0, 2.0, 1.0)
