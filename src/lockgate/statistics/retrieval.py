"""How well a ranking finds what is relevant, for one query; a suite's figure is the mean.

Voorhees and Harman 2005, "TREC: Experiment and Evaluation in Information Retrieval" (precision,
recall, reciprocal rank); Järvelin and Kekäläinen 2002, "Cumulated gain-based evaluation of IR
techniques", ACM TOIS 20, 422-446 (discount by log2, gains as graded).
"""

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from lockgate.errors import InvalidInput


def recall_at_k(ranked: Sequence[str], relevant: AbstractSet[str], k: int) -> float:
    """Return the share of what is relevant that is among the first k.

    Raises:
        InvalidInput: nothing is relevant, k is below 1, or the ranking repeats an item.

    """
    return _hits(ranked, relevant, k) / len(relevant)


def precision_at_k(ranked: Sequence[str], relevant: AbstractSet[str], k: int) -> float:
    """Return the share of the first k that is relevant; places left empty count as misses.

    Raises:
        InvalidInput: nothing is relevant, k is below 1, or the ranking repeats an item.

    """
    return _hits(ranked, relevant, k) / k


def mrr_at_k(ranked: Sequence[str], relevant: AbstractSet[str], k: int) -> float:
    """Return 1 by the rank of the first that is relevant; 0 where none is among the first k.

    Raises:
        InvalidInput: nothing is relevant, k is below 1, or the ranking repeats an item.

    """
    _checked(ranked, len(relevant), k)
    ranks = (rank for rank, item in enumerate(ranked[:k], 1) if item in relevant)
    return 1 / next(ranks, math.inf)


def ndcg_at_k(ranked: Sequence[str], grades: Mapping[str, float], k: int) -> float:
    """Return the discounted gain of the first k by that of the best ranking there is.

    `grades` are gains of 0 or more, 1 for plain relevance; what has none has the gain 0.

    Raises:
        InvalidInput: no grade is positive, one is negative or no number, k is below 1, or the
            ranking repeats an item.

    """
    wrong = next((g for g in grades.values() if not 0 <= g < math.inf), None)
    if wrong is not None:
        raise InvalidInput(f"the grade `{wrong}` is not a number of 0 or more")
    _checked(ranked, sum(grade > 0 for grade in grades.values()), k)
    best = sorted(grades.values(), reverse=True)
    return _discounted([grades.get(item, 0.0) for item in ranked[:k]]) / _discounted(best[:k])


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _hits(ranked: Sequence[str], relevant: AbstractSet[str], k: int) -> int:
    _checked(ranked, len(relevant), k)
    return sum(item in relevant for item in ranked[:k])


def _checked(ranked: Sequence[str], relevant: int, k: int) -> None:
    if k < 1:
        raise InvalidInput(f"`{k}` is no number of places to look at")
    if not relevant:
        raise InvalidInput(
            "nothing is relevant to this query, so there is nothing to find",
            hint="give the case the ids that it must find, or leave it out",
        )
    first = ranked[:k]
    if len(set(first)) < len(first):
        twice = next(item for i, item in enumerate(first) if item in first[:i])
        raise InvalidInput(
            f"`{twice[:80]}` is in the ranking twice",
            hint="rank documents, or give each chunk its own id",
        )
