import math

import numpy as np
import pytest
from scipy import special, stats

from lockgate.errors import InvalidInput
from lockgate.statistics.drift import (
    Shift,
    kolmogorov_smirnov,
    kolmogorov_tail,
    psi,
    psi_of_categories,
    wasserstein,
)

DRAW = np.random.default_rng(12)
REFERENCE = DRAW.normal(0, 1, 300)
MOVED = DRAW.normal(0.3, 1.2, 200)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 5), (20, 20), (50, 73), (300, 200)])
@pytest.mark.parametrize("move", [0.0, 0.4])
def test_exact_ks_p_values_are_scipys(n: int, m: int, move: float) -> None:
    left, right = REFERENCE[:n], MOVED[:m] + move

    seen = kolmogorov_smirnov(left, right)

    expected = stats.ks_2samp(left, right, method="exact")
    assert seen.method == "ks-exact"
    assert seen.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert seen.p_value == pytest.approx(expected.pvalue, abs=1e-11)


def test_ks_distances_of_tied_values_are_scipys() -> None:
    left, right = np.round(REFERENCE), np.round(MOVED)

    seen = kolmogorov_smirnov(left, right)

    expected = stats.ks_2samp(left, right, method="exact")
    assert seen.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert seen.p_value == pytest.approx(expected.pvalue, rel=1e-6)


def test_large_samples_have_kolmogorovs_limit() -> None:
    for x in np.linspace(0.05, 5, 60):
        assert kolmogorov_tail(float(x)) == pytest.approx(special.kolmogorov(x), abs=1e-13)
    draw = np.random.default_rng(13)
    left, right = draw.normal(0, 1, 2100), draw.normal(0.03, 1, 2100)

    seen = kolmogorov_smirnov(left, right)

    expected = stats.ks_2samp(left, right, method="exact")
    assert seen.method == "ks-asymptotic"
    assert seen.p_value == pytest.approx(expected.pvalue, rel=0.05)


def test_the_same_sample_twice_is_no_evidence() -> None:
    seen = kolmogorov_smirnov(REFERENCE, REFERENCE)
    assert (seen.statistic, seen.p_value) == (0, 1)
    assert wasserstein(REFERENCE, REFERENCE) == 0
    assert psi(REFERENCE, REFERENCE).p_value > 0.99


def test_wasserstein_distances_are_scipys() -> None:
    assert wasserstein(REFERENCE, MOVED) == pytest.approx(
        stats.wasserstein_distance(REFERENCE, MOVED)
    )
    assert wasserstein([0.0], [3.0, 5.0]) == 4


def test_psi_is_its_formula_over_bins_of_the_reference() -> None:
    edges = np.quantile(REFERENCE, np.linspace(0, 1, 11)[1:-1], method="lower")
    shares = []
    for row in (REFERENCE, MOVED):
        bins = np.digitize(row, edges, right=True)
        counts = np.array([np.sum(bins == k) for k in range(10)])
        shares.append((counts + 0.5) / (row.size + 5))
    # Jeffreys' divergence: both relative entropies.
    expected = stats.entropy(shares[0], shares[1]) + stats.entropy(shares[1], shares[0])

    seen = psi(REFERENCE, MOVED)

    assert seen.value == pytest.approx(expected)
    assert (seen.bins, seen.reference, seen.current) == (10, 300, 200)


def test_psi_of_counted_categories_sees_new_and_lost_ones() -> None:
    same = psi_of_categories({"a": 500, "b": 500}, {"a": 480, "b": 520})
    new = psi_of_categories({"a": 500, "b": 500}, {"a": 480, "b": 420, "c": 100})

    assert same.p_value > 0.3
    assert new.p_value < 1e-9
    assert new.bins == 3


def test_psi_p_values_are_uniform_while_nothing_moves() -> None:
    draw = np.random.default_rng(3)

    p_values = [psi(draw.normal(0, 1, 500), draw.normal(0, 1, 400)).p_value for _ in range(300)]

    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("move", [0.0, 0.3, 0.5])
def test_intervals_of_psi_miss_the_truth_about_as_often_as_they_say(move: float) -> None:
    draw = np.random.default_rng(4)
    edges = stats.norm.ppf(np.linspace(0, 1, 11))
    now = np.diff(stats.norm.cdf(edges, move, 1))
    truth = float(((now - 0.1) * np.log(now / 0.1)).sum())
    trials = 120

    missed = [0, 0]
    for _ in range(trials):
        ends = psi(draw.normal(0, 1, 600), draw.normal(move, 1, 400)).interval(0.9)
        missed[0] += ends.lower > truth + 1e-12
        missed[1] += ends.upper < truth

    assert max(missed) <= stats.binom.ppf(0.999, trials, 0.06)


def test_ends_of_the_interval_of_psi_are_scipys_noncentral_chi_square() -> None:
    shift = Shift(value=0.2, bins=10, reference=400, current=300)
    unit = 1 / 400 + 1 / 300

    ends = shift.interval(0.9)

    assert stats.ncx2.sf(0.2 / unit, 9, ends.lower / unit) == pytest.approx(0.05, abs=1e-6)
    assert stats.ncx2.cdf(0.2 / unit, 9, ends.upper / unit) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("bad", [[], [math.nan], [math.inf, 1.0]])
def test_samples_that_cannot_be_compared_are_refused(bad: list[float]) -> None:
    for measure in (psi, kolmogorov_smirnov, wasserstein):
        for sides in ((bad, [1.0, 2.0]), ([1.0, 2.0], bad)):
            with pytest.raises(InvalidInput):
                measure(*sides)


def test_a_constant_reference_has_no_bins() -> None:
    with pytest.raises(InvalidInput, match="no bins"):
        psi([1.0] * 100, [1.0, 2.0])
    with pytest.raises(InvalidInput, match="bins"):
        psi(REFERENCE, MOVED, bins=1)
    with pytest.raises(InvalidInput):
        psi_of_categories({"a": 3}, {"a": 3})
    with pytest.raises(InvalidInput):
        psi_of_categories({"a": 3, "b": -1}, {"a": 3, "b": 3})
    with pytest.raises(InvalidInput):
        psi_of_categories({"a": 3, "b": 1}, {"a": 0, "b": 0})
