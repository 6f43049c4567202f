# ruff: noqa: RUF001
"""What makes a search quick changes nothing of what it finds."""

import ipaddress
import types
from collections.abc import Sequence

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.guards.compiled import CompiledRule, RuleSet
from lockgate.guards.folding import Folder, foreign
from lockgate.guards.injection import InjectionGuard
from lockgate.guards.landmarks import Landmark, landmark
from lockgate.guards.pattern import parse
from lockgate.guards.policy import validators
from lockgate.guards.rules import CATALOGUES, entropy, expand, is_varied, load_rules
from lockgate.guards.search import NOWHERE, search_of

RULES = [rule for category in CATALOGUES for rule in load_rules(category)]
COMPILED = [CompiledRule(rule, validators(("allowed.example",))) for rule in RULES]
PIECES = sorted({expand(p)[a:] for r in RULES for p in r.positives for a in (0, 1, 5)})
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(PIECES),
        st.sampled_from((" ", "\n", "a", "é", "@", "://", ".", "-", "_", "+", ":", "ghp_")),
        st.text(max_size=4).filter(lambda t: t.isprintable()),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, start=st.integers(0, 40))
def test_a_search_from_landmark_to_landmark_finds_what_a_plain_one_does(
    text: str, start: int
) -> None:
    data = text.encode()
    start = min(start, len(data))
    for compiled in COMPILED:
        plain = [m.span() for m in re2.finditer(compiled.rule.regex, data, re2.Options())]
        from_start = [span for span in plain if span[0] >= start]
        found = [(raw.start, raw.end) for raw in compiled.matches(data, start)]
        if start == 0 or len(from_start) == len(plain):
            assert found == plain


@pytest.mark.parametrize(
    ("pattern", "mark"),
    [
        ("abc", Landmark(b"abc", 0)),
        (r"\bx?[0-9]{1,3}@b", Landmark(b"@b", 16)),
        ("(?i)abc_", Landmark(b"_", 12)),
        ("(?i:a)b(?:cd|ef)", Landmark(b"b", 4)),
        ("(?:ab)?c", Landmark(b"c", 8)),
        (r"(?:ab\.){2,4}", Landmark(b"ab.", 0)),
        ("ab|cd", None),
        (".*@", None),
        (".{2000}@", None),
        ("[a-z]+", None),
    ],
)
def test_a_landmark_is_the_longest_text_that_every_match_holds(
    pattern: str, mark: Landmark | None
) -> None:
    assert landmark(parse(pattern)) == mark


def test_a_pattern_that_may_match_nothing_comes_to_an_end() -> None:
    rule = next(rule for rule in RULES if rule.id == "profanity")
    empty = type(rule)(**{f: getattr(rule, f) for f in rule.__slots__} | {"regex": "b*"})

    spans = [(raw.start, raw.end) for raw in CompiledRule(empty).matches(b"abb", 0)]

    assert spans[:2] == [(0, 0), (1, 3)]


def test_a_binding_that_hides_its_machine_is_asked_in_public() -> None:
    pattern = re2.compile("(a)b")
    shown = types.SimpleNamespace(search=pattern.search, groups=pattern.groups)

    for search in (search_of(shown), search_of(pattern)):
        assert list(search(b"xab", 0, 3)) == [(1, 3), (1, 2)]
        assert search(b"xab", 2, 3)[0] == search(b"xab", 0, 2)[0] == NOWHERE


@given(value=st.text(st.sampled_from("abcdefgh012é"), max_size=40), least=st.floats(0, 5))
def test_entropy_that_is_told_from_the_distinct_bytes_is_the_entropy(
    value: str, least: float
) -> None:
    if value:
        assert is_varied(value.encode(), least) == (entropy(value) >= least)


@given(value=st.text(st.sampled_from("abcdefgh012"), min_size=41), least=st.floats(0, 5))
def test_a_long_text_is_as_varied_as_it_is_or_its_end(value: str, least: float) -> None:
    varied = max(entropy(value), entropy(value[-40:])) >= least
    assert entropy(value) < least or is_varied(value.encode(), least)
    assert varied or not is_varied(value.encode(), least)


def test_a_token_that_is_padded_in_front_is_varied_by_its_end() -> None:
    token = "".join(map(chr, range(48, 88))).encode()
    assert is_varied(b"0" * 400 + token, 4.0)
    assert not is_varied(token + b"0" * 400, 4.0)


@given(text=st.text(max_size=60) | st.text(st.sampled_from("aZéβΣſ\u0130ß\ud800 "), max_size=60))
def test_folding_the_other_characters_alone_is_folding_all(text: str) -> None:
    folder = Folder(alike=True)

    assert folder.folded(text) == text.translate(Folder(alike=True))
    assert Folder(alike=False).folded(text) == text.translate(Folder(alike=False))
    assert foreign(text) == {character for character in text if not character.isascii()}


GUARD = InjectionGuard()
WORDS = st.lists(
    st.sampled_from(
        ("ignore", "all", "previous", "instructions", "system:", "prompt", "\n", " ", "# ", "the")
    ),
    max_size=14,
)


@given(words=WORDS)
def test_the_first_look_at_a_text_never_ends_one_that_a_window_would_condemn(
    words: Sequence[str],
) -> None:
    text = " ".join(words)
    model = GUARD._model
    windows = GUARD._windows(GUARD.prepared(text), model.bias, model.retrieved)

    assert bool(GUARD.suspects(text, retrieved=True)) == any(windows)


@given(st.tuples(*[st.integers(0, 255)] * 4))
def test_every_address_that_is_routed_on_the_internet_is_looked_at(octets: tuple[int, ...]) -> None:
    address = ".".join(map(str, octets))
    found = IPV4.matches(f"from {address} port".encode(), 0)

    routed = ipaddress.IPv4Address(address).is_global and octets[0] < FIRST_MULTICAST
    if routed:
        assert [(raw.start, raw.end) for raw in found] == [(5, 5 + len(address))]
    if ipaddress.IPv4Address(address).is_private:
        assert not any(raw.taken for raw in found)


FIRST_MULTICAST = 224
IPV4 = RuleSet([rule for rule in RULES if rule.id == "ipv4"])
IPV6 = RuleSet([rule for rule in RULES if rule.id == "ipv6"])


@given(st.integers(0x2000 << 112, (0x4000 << 112) - 1), st.integers(0, (1 << 128) - 1))
def test_every_global_address_of_version_6_is_looked_at(number: int, mask: int) -> None:
    for value in (number, number & mask | 0x2000 << 112):
        address = ipaddress.IPv6Address(value)
        for text in (address.compressed, address.exploded):
            found = IPV6.matches(f"[{text}]".encode(), 0)
            assert [(raw.start, raw.end) for raw in found] == [(1, 1 + len(text))]
