"""What the shipped classifier's labels rest on: a gate that hears a forbidden feature."""

import math
from importlib.resources import files
from pathlib import Path

import pytest

from lockgate.app.evals_explain import attributions, rule_on_features
from lockgate.backends.linear import load
from lockgate.domain.inference import Row
from lockgate.errors import InvalidInput
from lockgate.tasks.release_notes.features import row

WEIGHTS = Path(
    str(next(p for p in (files("lockgate") / "tasks/release_notes/weights").iterdir()
             if p.name.endswith(".safetensors")))
)  # fmt: skip
SUBJECTS = ("fix a crash in the parser", "add a command", "update the docs", "bump numpy")


def rows(*extra: str, count: int = 400) -> list[Row]:
    made = []
    for number in range(count):
        subject = f"{SUBJECTS[number % 4]} of part {number % 17}"
        found = row(subject, [("M", f"src/part{number % 11}.py")])
        made.append(Row(tokens=(*found.tokens, *extra)))
    return made


def test_attributions_sum_to_the_margin_less_that_of_the_mean_row() -> None:
    head = load(WEIGHTS)
    given = rows(count=20)

    owed = attributions(head, given)

    names = [each.feature for each in owed[0]]
    for made, parts in zip(given, owed, strict=True):
        best = int(head.margins(made).argmax())
        mean = math.fsum(head.margins(other)[best] for other in given) / len(given)
        total = math.fsum(part.weight for part in parts)
        assert total == pytest.approx(head.margins(made)[best] - mean)
    assert set(given[0].tokens) < set(names)


def test_the_shipped_classifier_does_not_look_at_authors() -> None:
    found = rule_on_features(WEIGHTS, rows(), ["author=*"], margin=0.02)

    assert (found.verdict, found.value) == ("pass", 0.0)


def test_a_forbidden_feature_that_carries_weight_fails() -> None:
    found = rule_on_features(WEIGHTS, rows(), ["rule=*", "cross=*"])

    assert found.verdict == "fail"
    assert found.value is not None
    assert found.value > 0.05


def test_too_few_rows_are_no_verdict_and_no_prohibition_is_an_error() -> None:
    assert rule_on_features(WEIGHTS, rows(count=10), ["author=*"]).verdict == "inconclusive"
    with pytest.raises(InvalidInput, match="forbids no feature"):
        rule_on_features(WEIGHTS, rows(count=40), [])
