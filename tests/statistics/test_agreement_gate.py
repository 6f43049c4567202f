"""A judge that agrees with people by chance, or on too few labels, is not believed."""

import random

import pytest

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.agreement import kappa_interval, require_agreement
from lockgate.statistics.classification import kappa
from lockgate.statistics.gate import Gate
from lockgate.statistics.intervals import clopper_pearson

LABELS = ["pass", "fail"] * 100


def judged(wrong: int, labels: list[str]) -> list[str]:
    return [
        {"pass": "fail", "fail": "pass"}[label] if at < wrong else label
        for at, label in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("labels", "wrong", "outcome"),
    [
        (200, 10, Outcome.PASS),  # kappa 0.9
        (200, 80, Outcome.FAIL),  # 0.2
        (200, 40, Outcome.INCONCLUSIVE),  # 0.6, the limit itself
        (40, 4, Outcome.INCONCLUSIVE),  # 0.8, and too wide
        (20, 0, Outcome.INCONCLUSIVE),  # perfect, and fewer than 30
        (20, 20, Outcome.INCONCLUSIVE),
    ],
)
def test_a_judge_passes_only_where_the_lower_bound_of_kappa_is_at_the_limit(
    labels: int, wrong: int, outcome: Outcome
) -> None:
    people = LABELS[:labels]

    result = require_agreement(Gate(metric="k"), people, judged(wrong, people), limit=0.6)

    assert result.outcome is outcome


def test_a_judge_that_never_disagreed_on_few_labels_is_not_perfect_for_sure() -> None:
    ends = kappa_interval(LABELS[:40], LABELS[:40], confidence=0.9)

    assert ends.lower == pytest.approx(2 * clopper_pearson(40, 40, confidence=0.9).lower - 1)
    assert ends.upper == 1.0


def test_the_interval_is_never_narrower_than_the_large_sample_one() -> None:
    for wrong in range(0, 60, 7):
        people = LABELS[:120]
        ours = kappa_interval(people, judged(wrong, people))
        theirs = kappa(people, judged(wrong, people)).interval
        assert ours.lower <= max(-1.0, theirs.lower)
        assert ours.upper >= min(1.0, theirs.upper)


@pytest.mark.parametrize("cases", [40, 150])
def test_a_judge_at_the_limit_passes_in_at_most_one_of_20_runs(cases: int) -> None:
    draw = random.Random(cases)  # noqa: S311  a simulated judge
    passes = 0
    for _ in range(400):
        people = ["pass" if draw.random() < 0.5 else "fail" for _ in range(cases)]
        said = [
            label if draw.random() < 0.9 else {"pass": "fail", "fail": "pass"}[label]
            for label in people
        ]
        result = require_agreement(Gate(metric="k"), people, said, limit=0.8)
        passes += result.outcome is Outcome.PASS

    assert passes <= 30  # 31 or more of 400 have a probability of 1 % at a level of 5 %


def test_labels_of_one_kind_show_nothing() -> None:
    with pytest.raises(InvalidInput, match="chance would agree as well"):
        require_agreement(Gate(metric="k"), ["pass"] * 40, ["pass"] * 40, limit=0.5)
