import pytest

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category
from lockgate.errors import InvalidConfig
from lockgate.guards.compiled import CompiledRule, self_test
from lockgate.guards.crypto import keccak256
from lockgate.guards.links import link_validator
from lockgate.guards.pipeline import Pipeline
from lockgate.guards.policy import Policy
from lockgate.guards.rules import CATALOGUES, Rule, expand, load_rules
from lockgate.guards.validators import VALIDATORS

RULES = [rule for c in CATALOGUES if c is not Category.SECRETS for rule in load_rules(c)]
PIPELINE = Pipeline({DataClass.INTERNAL: Policy(input={Category.PERSONAL: Action.REDACT})})


def found(rule: Rule, text: str) -> bool:
    compiled = CompiledRule(rule, {**VALIDATORS, "link": link_validator(["allowed.example"])})
    return any(raw.taken for raw in compiled.matches(text.encode(), 0))


def clean(text: str) -> str:
    return PIPELINE.scan_input(text).text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_finds_its_positives_and_leaves_its_negatives(rule: Rule) -> None:
    assert [p for p in rule.positives if not found(rule, expand(p))] == []
    assert [n for n in rule.negatives if found(rule, n)] == []


def test_a_rule_that_fails_one_of_its_examples_is_refused_with_all_their_names() -> None:
    good = RULES[0]
    broken = Rule(
        id="broken",
        description="",
        regex="a",
        keywords=(),
        entropy=0,
        group=0,
        allowed="",
        positives=("b",),
        negatives=("a",),
    )

    with pytest.raises(InvalidConfig) as caught:
        self_test([good, broken])

    assert "`broken` does not find its positive 1" in caught.value.message
    assert "`broken` finds its negative 1" in caught.value.message


def test_equal_values_have_equal_placeholders_in_all_texts_of_a_call() -> None:
    first = PIPELINE.scan_input("jane@acme.io and joe@acme.io")
    second = PIPELINE.scan_input("joe@acme.io again", vault=first.vault)

    assert first.text == "<personal:email:1> and <personal:email:2>"
    assert second.text == "<personal:email:2> again"


def test_a_placeholder_that_stands_in_the_text_is_not_given_to_a_value() -> None:
    assert clean("<personal:email:1> a@acme.io") == "<personal:email:1> <personal:email:2>"


def test_findings_count_characters_and_not_bytes() -> None:
    text = "é 漢字 jane@acme.io und bob@acme.io"

    places = [text[f.start : f.end] for f in PIPELINE.scan_input(text).findings]

    assert places == ["jane@acme.io", "bob@acme.io"]


def test_a_vault_never_shows_what_it_holds() -> None:
    scanned = PIPELINE.scan_input("jane@acme.io")

    assert "jane" not in repr(scanned)
    assert "jane" not in repr(scanned.vault)


def test_a_card_beside_another_number_is_taken_and_the_other_is_not() -> None:
    assert clean("order 2024 4111 1111 1111 1111 7") == "order 2024 <personal:payment-card:1> 7"


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ],
)
def test_keccak_is_the_one_of_before_sha_3(message: bytes, digest: str) -> None:
    assert keccak256(message).hex() == digest
