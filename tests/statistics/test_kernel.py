import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import rbf_kernel

from lockgate.errors import InvalidInput
from lockgate.statistics.kernel import median_distance, mmd
from lockgate.statistics.samples import Array

DRAW = np.random.default_rng(7)
REFERENCE = DRAW.normal(0, 1, (150, 8))
SAME = DRAW.normal(0, 1, (120, 8))
MOVED = SAME + 0.4


def kernel_mmd(left: Array, right: Array, width: float) -> float:
    gamma = 1 / (2 * width**2)
    parts = [rbf_kernel(a, b, gamma).mean() for a, b in ((left, left), (right, right))]
    return math.sqrt(parts[0] + parts[1] - 2 * rbf_kernel(left, right, gamma).mean())


def test_the_discrepancy_is_near_that_of_the_exact_kernel() -> None:
    for current in (SAME, MOVED, MOVED * 2):
        seen = mmd(REFERENCE, current, seed=1)
        exact = kernel_mmd(REFERENCE, current, seen.bandwidth)
        assert seen.value == pytest.approx(exact, abs=0.04)


def test_the_bandwidth_is_the_median_distance_of_the_reference() -> None:
    expected = np.median(pdist(REFERENCE))
    assert median_distance(REFERENCE, np.random.default_rng(0)) == pytest.approx(expected)
    assert mmd(REFERENCE, SAME, seed=0).bandwidth == pytest.approx(expected)


def test_moved_vectors_are_told_from_unmoved_ones() -> None:
    assert mmd(REFERENCE, MOVED, seed=1).p_value < 0.01
    assert mmd(REFERENCE, SAME, seed=1).p_value > 0.05


def test_p_values_are_uniform_while_nothing_moves() -> None:
    draw = np.random.default_rng(5)
    p_values = [
        mmd(
            draw.normal(0, 1, (40, 3)), draw.normal(0, 1, (30, 3)), seed=seed, permutations=49
        ).p_value
        for seed in range(50)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("move", [0.0, 0.5])
def test_intervals_rarely_miss_the_distance_of_the_laws(move: float) -> None:
    draw = np.random.default_rng(6)
    trials, width = 15, 2.0
    truth = mmd(
        draw.normal(0, 1, (5000, 3)),
        draw.normal(move, 1, (5000, 3)),
        seed=0,
        bandwidth=width,
        permutations=1,
    )
    missed = 0
    for _ in range(trials):
        ends = mmd(
            draw.normal(0, 1, (150, 3)),
            draw.normal(move, 1, (150, 3)),
            seed=0,
            bandwidth=width,
            permutations=1,
        ).interval(0.9)
        missed += not ends.lower <= truth.value + 0.01 <= ends.upper + 0.02

    assert missed <= stats.binom.ppf(0.999, trials, 0.1)


def test_the_seed_alone_decides() -> None:
    assert mmd(REFERENCE, SAME, seed=3) == mmd(REFERENCE, SAME, seed=3)
    assert mmd(REFERENCE, SAME, seed=3) != mmd(REFERENCE, SAME, seed=4)


def test_vectors_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(InvalidInput, match="8 dimensions, the current 3"):
        mmd(REFERENCE, SAME[:, :3], seed=0)
    with pytest.raises(InvalidInput, match="all alike"):
        mmd(np.ones((9, 2)), np.ones((9, 2)), seed=0)
    for bad in ([], [[1.0, 2.0]], [[1.0], [math.nan]], [[1.0], [1.0, 2.0]], [1.0, 2.0]):
        with pytest.raises(InvalidInput):
            mmd(bad, SAME, seed=0)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="permutations"):
        mmd(REFERENCE, SAME, seed=0, permutations=0)
