from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.digest import Json
from lockgate.domain.redact import map_strings, placeholder

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_a_placeholder_names_the_rule_and_counts() -> None:
    assert placeholder("github-pat", 2) == "<secret:github-pat:2>"


def test_keys_and_items_are_replaced_at_every_depth() -> None:
    value: Json = {"a": ["a", {"b": "a", "a": 1}, ("a", None)], "c": True}

    assert map_strings(value, {"a": "x"}) == {
        "x": ["x", {"b": "x", "x": 1}, ["x", None]],
        "c": True,
    }


def test_only_whole_strings_are_replaced() -> None:
    assert map_strings(["aa", "a"], {"a": "x"}) == ["aa", "x"]


@given(VALUES)
def test_nothing_to_replace_changes_nothing(value: Json) -> None:
    assert map_strings(value, {}) == value
