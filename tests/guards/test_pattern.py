import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from lockgate.guards.pattern import beginnings, parse, write
from lockgate.guards.rules import CATALOGUES, Rule, expand, load_rules

RULES = [rule for category in CATALOGUES for rule in load_rules(category)]


def begins(pattern: str, text: str) -> int:
    found = re2.compile(f"(?:{beginnings(parse(pattern))})\\z").search(text)
    return int(found.start())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_beginning_of_every_positive_is_held_back(rule: Rule) -> None:
    for template in rule.positives:
        text = expand(template)
        match = re2.search(rule.regex, text)
        for end in range(match.start() + 1, match.end() + 1):
            assert begins(rule.regex, text[:end]) <= match.start()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_pattern_that_is_read_and_written_matches_the_same(rule: Rule) -> None:
    again = write(parse(rule.regex))
    for template in rule.positives:
        text = expand(template)
        assert re2.search(again, text).span() == re2.search(rule.regex, text).span()


@pytest.mark.parametrize(
    ("pattern", "text", "start"),
    [
        ("abc", "xxab", 2),
        ("abc", "xxabd", 5),
        ("abc", "xxabc", 2),
        ("a|bc", "xb", 1),
        ("(?:ab){2,3}c", "ababab", 0),
        ("(?:ab){2,3}c", "abababab", 2),
        ("a+b", "baaa", 1),
        (r"\bab", "ca", 2),
        (r"\bab", " a", 1),
        (r"a\b", "a", 0),
        ("(?i)AbC", "xaB", 1),
        ("a(?i)bc", "aB", 0),
        ("a(?i)bc", "AB", 2),
        (r"[\]a]{2}b", "x]a", 1),
        ("[^]a]b", "x", 0),
        ("a{0}b", "a", 1),
        (r"\x{e9}é?z", "éé", 0),
        ("(?P<name>a)b", "a", 0),
        ("a?b", "a", 0),
        ("^ab", "xa", 2),
        ("(?m)^ab", "x\na", 2),
    ],
)
def test_the_first_place_from_which_a_text_could_go_on_to_match(
    pattern: str, text: str, start: int
) -> None:
    assert begins(pattern, text) == start


@pytest.mark.parametrize("pattern", ["a*?", r"\Qa\E", "(a", "a)", "[a", "*a", "\\"])
def test_what_rules_may_not_use_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|of `|not for rules"):
        parse(pattern)


NODES = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\b", "^", "$"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@given(pattern=NODES, text=st.text("ab c", max_size=8), end=st.integers(0, 8))
def test_no_beginning_of_a_match_is_missed(pattern: str, text: str, end: int) -> None:
    # Whatever is found in the whole text and reaches to `end` was open at `end`.
    for match in re2.compile(pattern).finditer(text):
        if match.start() < end <= match.end():
            assert begins(pattern, text[:end]) <= match.start()
