import pytest

from lockgate.evals import formula


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("-2 ^ 2", -4),
        ("2 ^ 3 ^ 2", 512),
        ("7 % 4", 3),
        ("max(a, b, 3)", 5),
        ("sqrt(abs(-4)) / __count", 1),
        ("round(a / b)", 3),
        ("1 / 0", None),
        ("missing + 1", None),
        ("9 ^ 9 ^ 9", None),
    ],
)
def test_a_formula_is_arithmetic_over_scores(text: str, value: float | None) -> None:
    assert formula.problem(text) == ""
    assert formula.value(text, {"a": 5.0, "b": 2.0, "__count": 2.0}) == value


@pytest.mark.parametrize(
    "text", ["", "1 +", "open(1)", "a b", "(1", "a.b", "1;2", "(" * 400, "-" * 400]
)
def test_anything_else_is_refused(text: str) -> None:
    assert formula.problem(text)
