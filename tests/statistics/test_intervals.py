import math

import pytest
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from lockgate.errors import InvalidInput
from lockgate.statistics.intervals import clopper_pearson, paired_rates, paired_score, wilson

COUNTS = [(0, 1), (1, 1), (0, 40), (40, 40), (1, 60), (57, 60), (300, 1000), (999_999, 1_000_000)]


@pytest.mark.parametrize(("successes", "trials"), COUNTS)
@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.999])
def test_exact_intervals_are_those_of_scipy_and_statsmodels(
    successes: int, trials: int, confidence: float
) -> None:
    seen = clopper_pearson(successes, trials, confidence=confidence)

    exact = stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
    beta = proportion_confint(successes, trials, alpha=1 - confidence, method="beta")
    # scipy finds its ends by a search that stops at 2e-12 of the value.
    assert (seen.lower, seen.upper) == pytest.approx((exact.low, exact.high), abs=1e-10)
    assert (seen.lower, seen.upper) == pytest.approx(beta, abs=1e-10)


@pytest.mark.parametrize(("successes", "trials"), COUNTS)
def test_score_intervals_are_those_of_scipy_and_statsmodels(successes: int, trials: int) -> None:
    seen = wilson(successes, trials, confidence=0.9)

    score = stats.binomtest(successes, trials).proportion_ci(0.9, method="wilson")
    other = proportion_confint(successes, trials, alpha=0.1, method="wilson")
    assert (seen.lower, seen.upper) == pytest.approx((score.low, score.high), abs=1e-12)
    assert (seen.lower, seen.upper) == pytest.approx(other, abs=1e-12)


def likeliest_loss_rate(difference: float, gains: int, losses: int, trials: int) -> float:
    """Maximise the trinomial likelihood at a fixed difference, by search."""

    def misfit(rate: float) -> float:
        up, rest = rate + difference, 1 - 2 * rate - difference
        if min(rate, up, rest) <= 0:
            return math.inf
        total = (trials - gains - losses) * math.log(rest)
        return -(total + losses * math.log(rate) + gains * math.log(up))

    low, high = max(0.0, -difference), (1 - difference) / 2
    found = optimize.minimize_scalar(
        misfit, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    return float(found.x)


@pytest.mark.parametrize(("gains", "losses", "trials"), [(3, 9, 100), (1, 40, 1000), (20, 20, 60)])
def test_the_paired_score_uses_the_likeliest_rates_at_each_difference(
    gains: int, losses: int, trials: int
) -> None:
    for difference in (-0.3, -0.05, 0.0, 0.02, 0.2):
        rate = likeliest_loss_rate(difference, gains, losses, trials)
        variance = trials * (2 * rate + difference - difference**2)
        expected = (gains - losses - trials * difference) / math.sqrt(variance)
        seen = paired_score(difference, gains=gains, losses=losses, trials=trials)
        assert seen == pytest.approx(expected, rel=1e-4)


def test_the_ends_of_the_paired_interval_are_where_the_score_reaches_z() -> None:
    z = stats.norm.ppf(0.95)
    for gains, losses, trials in ((0, 0, 50), (3, 9, 100), (0, 7, 1000), (30, 0, 30)):
        seen = paired_rates(gains=gains, losses=losses, trials=trials, confidence=0.9)
        for end in (seen.lower, seen.upper):
            score = paired_score(end, gains=gains, losses=losses, trials=trials)
            assert abs(score) == pytest.approx(z, rel=1e-6) or abs(end) == 1


def test_cases_that_never_differ_leave_the_width_of_tangos_formula() -> None:
    z = stats.norm.ppf(0.95)

    seen = paired_rates(gains=0, losses=0, trials=80, confidence=0.9)

    assert seen.upper == pytest.approx(z**2 / (80 + z**2))
    assert seen.lower == pytest.approx(-seen.upper)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    for routine in (clopper_pearson, wilson):
        with pytest.raises(InvalidInput, match=f"`{successes}` of `{trials}`"):
            routine(successes, trials)
    with pytest.raises(InvalidInput):
        paired_rates(gains=successes, losses=0, trials=trials)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, math.nan])
def test_an_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(InvalidInput, match="confidence"):
        wilson(1, 2, confidence=confidence)
    with pytest.raises(InvalidInput, match="confidence"):
        paired_rates(gains=1, losses=1, trials=9, confidence=confidence)


def test_a_document_of_an_interval_is_plain_json() -> None:
    document = clopper_pearson(0, 4, confidence=0.9).document

    assert document["method"] == "clopper-pearson"
    assert (document["lower"], document["confidence"]) == (0.0, 0.9)


@pytest.mark.parametrize("discordance", [0.04, 0.1, 0.3])
def test_a_rate_that_is_lower_by_the_margin_is_let_pass_in_one_of_20_runs(
    discordance: float,
) -> None:
    # The exact sum over all runs that can be, not a simulation.
    cases, margin, z = 300, 0.03, stats.norm.ppf(0.95)
    lost, gained = (discordance + margin) / 2, (discordance - margin) / 2
    passed = 0.0
    for losses in range(int(stats.binom.ppf(1 - 1e-9, cases, lost)) + 1):
        chance = stats.binom.pmf(losses, cases, lost)
        rest = stats.binom(cases - losses, gained / (1 - lost))
        least = next(
            (
                gains
                for gains in range(int(rest.ppf(1 - 1e-9)) + 1)
                if paired_score(-margin, gains=gains, losses=losses, trials=cases) >= z
            ),
            cases,
        )
        passed += chance * rest.sf(least - 1)

    assert 0.03 < passed < 0.053
