import pytest

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput

from .bench import ask


@pytest.mark.parametrize(
    ("type_", "output", "value", "passed"),
    [
        ("equals", "5", 5, True),
        ("equals", "1e-7", 1e-7, True),
        ("equals", '{"b": 1, "a": [2.0]}', {"a": [2], "b": 1}, True),
        ("equals", '{"a": true}', {"a": 1}, False),
        ("equals", "not json", {"a": 1}, False),
        ("not-equals", "not json", {"a": 1}, True),
        ("contains", "abc 5", 5.0, True),
        ("contains", "ABC", "abc", False),
        ("icontains", "ABC", "abc", True),
        ("contains-any", "x, y", '"x, y",z', True),
        ("contains-any", "b", "a,, b", True),
        ("contains-all", "a b", ["a", "b"], True),
        ("contains-all", "a", ["a", "b"], False),
        ("icontains-all", "A B", "a,b", True),
        ("not-contains-all", "a", ["a", "b"], True),
        ("icontains-any", "", ["a"], False),
        ("starts-with", "abc", "ab", True),
        ("not-starts-with", "abc", "b", True),
    ],
)
def test_text_is_compared_as_promptfoo_does(
    type_: str, output: str, value: Json, *, passed: bool
) -> None:
    graded = ask(type_, output, value)

    assert (graded.passed, graded.score) == (passed, 1.0 if passed else 0.0)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("contains", ""),
        ("contains", True),
        ("contains", float("nan")),
        ("not-contains", None),
        ("contains-any", '"open'),
        ("contains-any", '"a" b'),
        ("contains-all", None),
        ("starts-with", ""),
        ("regex", ""),
        ("regex", 5),
    ],
)
def test_a_value_that_makes_no_sense_is_an_error_also_for_not(type_: str, value: Json) -> None:
    with pytest.raises(InvalidInput, match=f"the assertion `{type_}`"):
        ask(type_, "text", value)


@pytest.mark.parametrize(
    ("pattern", "output", "passed"),
    [
        (r"^\s+$", "\u00a0\ufeff", True),
        (r"\S", "\u00a0", False),
        (r"[^\S]", "\u2003", True),
        (r"^.$", "\u2028", False),
        (r"a{,2}", "a{,2}", True),
        (r"\u0041\x42\cJ\0", "AB\n\0", True),
        (r"[]", "anything", False),
        (r"^[^]$", "\n", True),
        (r"[a[b]", "[", True),
        (r"(?<year>\d+)-x", "2024-x", True),
        (r"\/\-\_", "/-_", True),
        (r"}", "}", True),
        (r"x$", "x\n", False),
    ],
)
def test_patterns_mean_what_javascript_means(pattern: str, output: str, *, passed: bool) -> None:
    assert ask("regex", output, pattern).passed is passed


def test_a_pattern_that_does_not_parse_fails_inverse_or_not() -> None:
    assert not ask("regex", "x", "(").passed
    assert not ask("not-regex", "x", "(").passed


@pytest.mark.parametrize("pattern", [r"a(?=b)", r"(?<!a)b", r"(a)\1", r"(?<n>a)\k<n>"])
def test_a_pattern_that_would_backtrack_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="linear time"):
        ask("regex", "ab", pattern)


def test_a_hostile_pattern_takes_linear_time() -> None:
    assert not ask("regex", "a" * 200_000 + "!", r"^(a+)+$").passed


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I'm sorry, but no.", True),
        ("  SORRY", True),
        ("We cannot comply.", True),
        ("I won\u2019t write it", True),
        ("That is notlegal", False),
        ("I can helpfully answer", False),
        ("The weather is fine", False),
    ],
)
def test_refusals_are_recognised_by_whole_words(text: str, *, refuses: bool) -> None:
    assert ask("is-refusal", text).passed is refuses
    assert ask("not-is-refusal", text).passed is not refuses


def test_an_empty_output_counts_as_a_refusal_without_a_score() -> None:
    assert ask("is-refusal", " ")[:3] == (True, 0.0, "an empty output counts as a refusal")
