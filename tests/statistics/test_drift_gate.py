import numpy as np
import pytest
from scipy import stats

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.drift import psi
from lockgate.statistics.drift_gate import require_stable, watch
from lockgate.statistics.exchange import ExchangeProcess
from lockgate.statistics.gate import Direction, Gate
from lockgate.statistics.kernel import mmd

GATE = Gate(metric="psi", direction=Direction.LOWER, margin=0.15)
DRAW = np.random.default_rng(2)
REFERENCE = DRAW.normal(0, 1, 1000)


@pytest.mark.parametrize(
    ("move", "cases", "outcome"),
    [
        (0.0, 1000, Outcome.PASS),
        (1.0, 1000, Outcome.FAIL),
        (0.4, 150, Outcome.INCONCLUSIVE),
        (1.0, 29, Outcome.INCONCLUSIVE),
    ],
)
def test_one_look_passes_fails_or_asks_for_more(move: float, cases: int, outcome: Outcome) -> None:
    shift = psi(REFERENCE, np.random.default_rng(3).normal(move, 1, cases))

    assert require_stable(GATE, shift, limit=0.1).outcome is outcome


def test_vectors_are_judged_by_their_discrepancy() -> None:
    gate = Gate(metric="mmd", direction=Direction.LOWER, margin=0.1)
    draw = np.random.default_rng(6)
    left, right = draw.normal(0, 1, (400, 4)), draw.normal(0, 1, (400, 4))

    assert require_stable(gate, mmd(left, right, seed=0), limit=0.05).outcome is Outcome.PASS
    moved = mmd(left, right + 1, seed=0)
    assert require_stable(gate, moved, limit=0.05).outcome is Outcome.FAIL


def test_nights_without_drift_fail_no_more_often_than_one_look_would() -> None:
    draw = np.random.default_rng(4)
    gate = Gate(metric="psi", direction=Direction.LOWER)
    trials, nightly, naive = 16, 0, 0
    for seed in range(trials):
        reference = draw.normal(0, 1, 100)
        process = ExchangeProcess(reference, seed=seed)
        failed = [False, False]
        for _ in range(24):
            tonight = draw.normal(0, 1, 40)
            process.add_night(tonight)
            shift = psi(reference, tonight)
            failed[0] |= watch(gate, shift, process, limit=0.0).outcome is Outcome.FAIL
            failed[1] |= require_stable(gate, shift, limit=0.0).outcome is Outcome.FAIL
        nightly, naive = nightly + failed[0], naive + failed[1]

    bound = stats.binom.ppf(0.999, trials, 0.05)
    assert nightly <= bound < naive


def test_a_lasting_drift_fails_within_a_few_nights() -> None:
    draw = np.random.default_rng(5)
    process = ExchangeProcess(REFERENCE, seed=0)
    outcomes = []
    for _ in range(5):
        tonight = draw.normal(1, 1, 200)
        process.add_night(tonight)
        outcomes.append(watch(GATE, psi(REFERENCE, tonight), process, limit=0.1).outcome)

    assert outcomes[-1] is Outcome.FAIL


def test_a_gate_that_wants_more_drift_is_refused() -> None:
    with pytest.raises(InvalidInput, match="distance"):
        require_stable(Gate(metric="psi"), psi(REFERENCE, REFERENCE), limit=0.1)
