"""How well a classifier or a detector does: confusion, precision, recall, F1, kappa.

Cohen 1960, "A coefficient of agreement for nominal scales",
Educational and Psychological Measurement 20, 37-46; Fleiss, Cohen and Everitt 1969, "Large sample
standard errors of kappa and weighted kappa", Psychological Bulletin 72, 323-327.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lockgate.errors import InvalidInput
from lockgate.statistics.intervals import Interval
from lockgate.statistics.samples import checked_confidence
from lockgate.statistics.special import normal_quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassQuality:
    """How well one label is found. None where there is nothing to divide by."""

    label: str
    precision: float | None
    """Of those called so, how many are. None: nothing was called so."""
    recall: float | None
    """Of those that are, how many were called so. None: there is none."""
    f1: float | None
    support: int
    """How many are so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """One number for all labels."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confusion:
    """Counts of true by predicted label."""

    labels: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    """`counts[i, j]` cases are of label i and were called label j."""
    abstained: tuple[int, ...]
    """Cases of each label that the classifier gave no label."""

    @property
    def cases(self) -> int:
        return int(self.counts.sum()) + sum(self.abstained)

    @property
    def accuracy(self) -> float:
        """The share of cases called what they are; an abstention is not that."""
        return int(np.trace(self.counts)) / self.cases

    @property
    def classes(self) -> tuple[ClassQuality, ...]:
        """The quality of each label, abstentions counted as misses."""
        return tuple(self._quality(i, label) for i, label in enumerate(self.labels))

    @property
    def macro(self) -> Averages:
        """The plain mean over labels; what is undefined counts as 0."""
        found = self.classes
        return Averages(
            precision=_mean([c.precision for c in found]),
            recall=_mean([c.recall for c in found]),
            f1=_mean([c.f1 for c in found]),
        )

    @property
    def micro(self) -> Averages:
        """Precision and recall over all cases together; they differ by the abstentions."""
        right, called = int(np.trace(self.counts)), int(self.counts.sum())
        return Averages(
            precision=right / called if called else 0.0,
            recall=right / self.cases,
            f1=2 * right / (called + self.cases),
        )

    def _quality(self, i: int, label: str) -> ClassQuality:
        right, called = int(self.counts[i, i]), int(self.counts[:, i].sum())
        support = int(self.counts[i].sum()) + self.abstained[i]
        return ClassQuality(
            label=label,
            precision=right / called if called else None,
            recall=right / support if support else None,
            f1=2 * right / (called + support) if called + support else None,
            support=support,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Cohen's kappa of two labellers."""

    kappa: float
    observed: float
    """The share of cases with the same label."""
    expected: float
    """That share, if both labelled by chance with their own frequencies."""
    interval: Interval
    cases: int


def confusion(truth: Sequence[str], predicted: Sequence[str | None]) -> Confusion:
    """Count cases by true and predicted label; None is an abstention. Labels come sorted.

    Raises:
        InvalidInput: there is no case, or the lengths differ.

    """
    _checked_lengths(truth, predicted)
    labels = sorted({*truth, *(label for label in predicted if label is not None)})
    at = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    abstained = [0] * len(labels)
    for is_label, called in zip(truth, predicted, strict=True):
        if called is None:
            abstained[at[is_label]] += 1
        else:
            counts[at[is_label], at[called]] += 1
    return Confusion(labels=tuple(labels), counts=counts, abstained=tuple(abstained))


def kappa(first: Sequence[str], second: Sequence[str], *, confidence: float = 0.95) -> Agreement:
    """Return the agreement of two labellers beyond chance, with its large-sample interval.

    Raises:
        InvalidInput: there is no case, the lengths differ, or both used one and the same label,
            so that chance alone would agree always.

    """
    table = confusion(first, second).counts
    cases = int(table.sum())
    shares = table / cases
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    observed, expected = float(np.trace(shares)), float(rows @ columns)
    if math.isclose(expected, 1):
        raise InvalidInput(
            f"both labellers said `{first[0]}` of all {cases} cases: chance would agree as well",
            hint="label cases of more than one kind",
        )
    value = (observed - expected) / (1 - expected)
    # Fleiss, Cohen and Everitt 1969, equation 13: the variance when kappa is not 0.
    rest = 1 - value
    same = float(np.diag(shares) @ (1 - (rows + columns) * rest) ** 2)
    margins = (columns[:, None] + rows[None, :]) ** 2
    other = rest**2 * float((shares * margins).sum() - np.diag(shares * margins).sum())
    centre = (value - expected * rest) ** 2
    variance = max(0.0, same + other - centre) / (cases * (1 - expected) ** 2)
    half = normal_quantile((1 + checked_confidence(confidence)) / 2) * math.sqrt(variance)
    return Agreement(
        kappa=value,
        observed=observed,
        expected=expected,
        interval=Interval(
            lower=value - half, upper=value + half, confidence=confidence, method="fleiss-1969"
        ),
        cases=cases,
    )


def _mean(values: Sequence[float | None]) -> float:
    return math.fsum(value or 0.0 for value in values) / len(values)


def _checked_lengths(left: Sequence[object], right: Sequence[object]) -> None:
    if len(left) != len(right):
        raise InvalidInput(f"`{len(left)}` labels, and `{len(right)}` of them predicted")
    if not len(left):
        raise InvalidInput("there are no cases to count", hint="run the evaluation first")
