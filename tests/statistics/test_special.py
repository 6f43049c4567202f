import math

import pytest
from scipy import stats

from lockgate.statistics import special

TAILS = (1e-6, 0.005, 0.025, 0.05, 0.5, 0.975, 0.995)


@pytest.mark.parametrize("trials", [1, 2, 5, 50, 214, 1000, 10_000, 1_000_000])
def test_beta_quantiles_are_scipys_to_ten_decimals(trials: int) -> None:
    for successes in {1, 2, trials // 10, trials // 3, trials - 1, trials} - {0}:
        a, b = min(successes, trials), trials - min(successes, trials) + 1
        for p in TAILS:
            expected = stats.beta.ppf(p, a, b)
            assert special.beta_quantile(p, a, b) == pytest.approx(expected, abs=1e-10, rel=1e-7)


def test_binomial_tails_are_scipys() -> None:
    for trials, p in ((10, 0.5), (300, 0.03), (5000, 0.9)):
        for successes in range(0, trials + 2, max(1, trials // 17)):
            seen = special.binomial_upper_tail(successes, trials, p)
            assert seen == pytest.approx(stats.binom.sf(successes - 1, trials, p), abs=1e-12)
            if successes <= trials:
                point = special.binomial_point(successes, trials, p)
                assert point == pytest.approx(stats.binom.pmf(successes, trials, p), abs=1e-12)


def test_chi_square_tails_are_scipys_far_out_too() -> None:
    for degrees in (1, 3, 9, 100):
        for x in (0.0, 0.1, 1.0, 30.0, 200.0, 1000.0):
            expected = stats.chi2.sf(x, degrees)
            assert special.chi_square_tail(x, degrees) == pytest.approx(expected, rel=1e-9)


def test_student_tails_are_scipys() -> None:
    for degrees in (1, 4, 29, 999):
        for t in (-3.0, 0.0, 0.5, 2.0, 20.0):
            expected = stats.t.sf(t, degrees)
            assert special.student_tail(t, degrees) == pytest.approx(expected, rel=1e-9)


def test_noncentral_chi_square_areas_are_scipys() -> None:
    for degrees in (1, 9, 30):
        for shift in (0.2, 3.0, 50.0, 1000.0):
            for x in (0.1, 5.0, 60.0, 1000.0):
                seen = special.noncentral_chi_square_cdf(x, degrees, shift)
                assert seen == pytest.approx(stats.ncx2.cdf(x, degrees, shift), abs=1e-9)


def test_normal_tails_and_quantiles_are_scipys() -> None:
    for z in (-3.0, 0.0, 1.96, 9.0, 30.0):
        assert special.normal_tail(z) == pytest.approx(stats.norm.sf(z), rel=1e-12)
    for p in TAILS:
        assert special.normal_quantile(p) == pytest.approx(stats.norm.ppf(p), abs=1e-12)


def test_the_edges_of_the_distributions_are_exact() -> None:
    assert (special.beta_cdf(0, 2, 3), special.beta_cdf(1, 2, 3)) == (0, 1)
    assert (special.gamma_cdf(0, 2), special.chi_square_tail(-1, 2)) == (0, 1)
    assert special.noncentral_chi_square_cdf(0, 2, 1) == 0
    assert special.noncentral_chi_square_cdf(2.0, 4, 0) == pytest.approx(stats.chi2.cdf(2.0, 4))
    assert math.isclose(special.beta_cdf(0.5, 4, 4), 0.5)
