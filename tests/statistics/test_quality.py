import math

import numpy as np
import pytest
from scipy import stats

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.bootstrap import Statistic
from lockgate.statistics.gate import Direction, Gate, GateResult
from lockgate.statistics.quality import (
    compare_means,
    compare_rates,
    compare_statistics,
    require_mean,
    require_rate,
    require_statistic,
)
from lockgate.statistics.slices import by_slice

GATE = Gate(metric="score", margin=0.03)
DRAW = np.random.default_rng(2)
BASE = DRAW.beta(8, 2, 400)
JITTER = np.clip(BASE + DRAW.normal(0, 0.05, 400), 0, 1)


def test_a_rate_passes_just_when_the_exact_bound_is_above_the_limit() -> None:
    gate = Gate(metric="recall")
    bound = stats.binomtest(285, 300).proportion_ci(0.9, method="exact").low

    assert require_rate(gate, 285, 300, limit=bound - 1e-9).outcome is Outcome.PASS
    assert require_rate(gate, 285, 300, limit=bound + 1e-9).outcome is Outcome.INCONCLUSIVE
    assert require_rate(gate, 285, 300, limit=0.98).outcome is Outcome.FAIL


def test_a_perfect_score_on_few_cases_is_no_pass() -> None:
    assert require_rate(Gate(metric="recall"), 12, 12, limit=0.9).outcome is Outcome.INCONCLUSIVE
    # 0.05^(1/28) is 0.8985: 29 cases without a failure are the fewest for 0.9 at 95 %.
    for cases, outcome in ((28, Outcome.INCONCLUSIVE), (29, Outcome.PASS)):
        gate = Gate(metric="recall", min_samples=1)
        assert require_rate(gate, cases, cases, limit=0.9).outcome is outcome


def test_equal_runs_pass_when_they_are_long_enough_for_the_margin() -> None:
    short, long = [1.0] * 50, [1.0] * 200

    assert compare_rates(GATE, short, short).outcome is Outcome.INCONCLUSIVE
    assert compare_rates(GATE, long, long).outcome is Outcome.PASS


def test_a_clear_drop_fails_and_says_how_many_cases_were_lost() -> None:
    result = compare_rates(GATE, [0.0] * 60 + [1.0] * 340, [1.0] * 400)

    assert result.outcome is Outcome.FAIL
    assert (result.numbers["losses"], result.numbers["gains"]) == (60, 0)
    assert result.value == pytest.approx(-0.15)


def test_lower_is_better_turns_the_verdict_around() -> None:
    gate = Gate(metric="refusals", direction=Direction.LOWER, margin=0.03)
    more, fewer = [1.0] * 60 + [0.0] * 340, [0.0] * 400

    assert compare_rates(gate, more, fewer).outcome is Outcome.FAIL
    assert compare_rates(gate, fewer, more).outcome is Outcome.PASS


def test_mean_scores_are_judged_by_their_differences() -> None:
    assert compare_means(GATE, JITTER, BASE, seed=1).outcome is Outcome.PASS
    worse = np.clip(JITTER - 0.06, 0, 1)
    assert compare_means(GATE, worse, BASE, seed=1).outcome is Outcome.FAIL
    assert require_mean(GATE, BASE, limit=0.75, seed=1).outcome is Outcome.PASS
    assert require_mean(GATE, BASE, limit=0.9, seed=1).outcome is Outcome.FAIL


def test_constant_scores_pass_only_when_unseen_cases_cannot_matter() -> None:
    for cases, outcome in ((60, Outcome.INCONCLUSIVE), (100, Outcome.PASS)):
        same = [0.4] * cases
        assert compare_means(GATE, same, same, seed=0).outcome is outcome
    perfect = require_mean(GATE, [1.0] * 40, limit=0.99, seed=0)
    assert perfect.outcome is Outcome.INCONCLUSIVE


def accuracy(*, right: int, cases: int) -> Statistic:
    passed = np.arange(cases) < right
    return lambda places: float(passed[places].mean())


def test_any_statistic_is_judged_by_resampling_cases() -> None:
    good, bad = accuracy(right=380, cases=400), accuracy(right=300, cases=400)

    assert require_statistic(GATE, good, cases=400, limit=0.9, seed=0).outcome is Outcome.PASS
    assert compare_statistics(GATE, bad, good, cases=400, seed=0).outcome is Outcome.FAIL


def test_a_statistic_that_never_varies_or_is_undefined_is_inconclusive() -> None:
    for constant in (1.0, math.nan):
        result = require_statistic(GATE, lambda _, c=constant: c, cases=99, limit=0.5, seed=0)  # type: ignore[misc]
        assert result.outcome is Outcome.INCONCLUSIVE


def test_no_cases_are_inconclusive_in_every_gate() -> None:
    results: list[GateResult] = [
        require_rate(GATE, 0, 0, limit=0.5),
        compare_rates(GATE, [], []),
        require_mean(GATE, [], limit=0.5, seed=0),
        compare_means(GATE, [], [], seed=0),
        require_statistic(GATE, lambda _: 1.0, cases=0, limit=0.5, seed=0),
    ]
    assert {result.outcome for result in results} == {Outcome.INCONCLUSIVE}
    assert {result.more_samples for result in results} == {30}


def test_scores_that_are_no_scores_are_refused() -> None:
    for bad in ([math.nan] * 40, [1.5] * 40, [0.5] * 39):
        with pytest.raises(InvalidInput):
            compare_means(GATE, bad, [0.5] * 40, seed=0)
        with pytest.raises(InvalidInput):
            compare_rates(GATE, bad, [0.5] * 40)
    with pytest.raises(InvalidInput, match=r"`1\.5` is outside `0.0` to `1.0`"):
        require_mean(GATE, [1.5] * 40, limit=0.5, seed=0)
    assert require_mean(GATE, [1.5] * 400, limit=1, seed=0, span=(0, 2)).outcome is Outcome.PASS


def test_each_slice_is_judged_by_its_own_cases() -> None:
    right = np.array([1.0, 0.0] * 30 + [1.0] * 60)
    slices = ["c"] * 60 + ["python"] * 60

    seen = by_slice(slices, lambda at: require_rate(GATE, int(right[at].sum()), at.size, limit=0.9))

    assert list(seen) == ["c", "python"]
    assert (seen["c"].outcome, seen["python"].outcome) == (Outcome.FAIL, Outcome.PASS)
