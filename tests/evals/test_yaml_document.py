import pytest

from lockgate.errors import InvalidConfig
from lockgate.evals.yaml_document import document, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2024-01-02", "2024-01-02"),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("!!str 5", "5"),
        ("'5'", "5"),
        ("~", None),
        ("True", True),
        (".5", 0.5),
        ("", None),
        ("{a: 1, <<: {b: 2, a: 3}}", {"a": 1, "b": 2}),
        ("{1: x}", {"1": "x"}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        ('{"a": "\\\\ud83d\\\\ude00"}', {"a": "\\ud83d\\ude00"}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert plain(text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: `a` stands twice"),
        ("[" * 100_000, "line 1: more than 60 levels"),
        ("a: &x [*x]", "more than 60 levels"),
        ("!!python/object/apply:os.system [ls]", "unknown tag"),
        ("a\n---\nb", "another document"),
        ("a: [", "not YAML"),
        ("a: \x00", "not YAML"),
        ("&a [1]: 2", "a key is not a text"),
        ("<<: 5", "`<<` takes mappings"),
        ("9" * 1000, "too long"),
    ],
)
def test_a_text_beyond_the_bounds_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        document(text, "f.yaml")

    assert problem in caught.value.message


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    levels = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    levels += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(InvalidConfig, match="more than 2000000 values"):
        plain("\n".join(levels))


def test_mappings_and_lists_know_their_lines() -> None:
    value, lines = document("a:\n  - b: 1\n  -\n    c: 2\n", "f.yaml")

    assert isinstance(value, dict)
    assert [lines.of(item) for item in value["a"]] == [2, 4]
    assert lines.of({}) == 0
