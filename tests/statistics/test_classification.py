import numpy as np
import pytest
from sklearn import metrics
from statsmodels.stats.inter_rater import cohens_kappa

from lockgate.errors import InvalidInput
from lockgate.statistics.classification import confusion, kappa

DRAW = np.random.default_rng(1)
LABELS = ["docs", "feat", "fix", "perf"]
TRUTH = [str(label) for label in DRAW.choice(LABELS, 300, p=[0.4, 0.3, 0.2, 0.1])]
CALLED = [str(DRAW.choice(LABELS)) if DRAW.random() < 0.3 else label for label in TRUTH]
ABSTAINED = [None if i % 7 == 0 else label for i, label in enumerate(CALLED)]


def test_confusion_and_quality_of_each_label_are_sklearns() -> None:
    seen = confusion(TRUTH, CALLED)

    assert seen.labels == tuple(LABELS)
    assert (seen.counts == metrics.confusion_matrix(TRUTH, CALLED, labels=LABELS)).all()
    assert seen.accuracy == pytest.approx(metrics.accuracy_score(TRUTH, CALLED))
    expected = metrics.precision_recall_fscore_support(TRUTH, CALLED, labels=LABELS)
    for i, found in enumerate(seen.classes):
        ours = (found.precision, found.recall, found.f1, found.support)
        assert ours == pytest.approx(tuple(column[i] for column in expected))


@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize("called", [CALLED, ABSTAINED])
def test_averages_are_sklearns_with_abstentions_as_misses(
    average: str, called: list[str | None]
) -> None:
    seen = getattr(confusion(TRUTH, called), average)

    named = ["none" if label is None else label for label in called]
    expected = metrics.precision_recall_fscore_support(
        TRUTH, named, labels=LABELS, average=average, zero_division=0
    )
    assert (seen.precision, seen.recall, seen.f1) == pytest.approx(expected[:3])


def test_a_label_that_was_never_called_has_no_precision() -> None:
    seen = confusion(["a", "b", "b"], ["b", "b", None])

    first, second = seen.classes
    assert (first.precision, first.recall, first.f1) == (None, 0, 0)
    assert (second.precision, second.recall, second.support) == (0.5, 0.5, 2)
    assert seen.macro.precision == 0.25
    assert confusion(["a"], ["b"]).classes[1].recall is None


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_agreement_and_its_interval_are_those_of_sklearn_and_statsmodels(
    confidence: float,
) -> None:
    seen = kappa(TRUTH, CALLED, confidence=confidence)

    table = metrics.confusion_matrix(TRUTH, CALLED, labels=LABELS)
    theirs = cohens_kappa(table)
    assert seen.kappa == pytest.approx(metrics.cohen_kappa_score(TRUTH, CALLED))
    assert seen.kappa == pytest.approx(theirs.kappa)
    half = (seen.interval.upper - seen.interval.lower) / 2
    error = np.sqrt(theirs.var_kappa)
    assert half == pytest.approx({0.9: 1.6448536, 0.95: 1.9599640}[confidence] * error)


def test_two_labellers_who_agree_always_have_a_kappa_of_one() -> None:
    assert kappa(TRUTH, TRUTH).kappa == 1
    with pytest.raises(InvalidInput, match="chance would agree"):
        kappa(["a", "a"], ["a", "a"])


def test_cases_that_cannot_be_counted_are_refused() -> None:
    for truth, called in (([], []), (["a"], ["a", "b"])):
        with pytest.raises(InvalidInput):
            confusion(truth, called)
        with pytest.raises(InvalidInput):
            kappa(truth, called)
