import math

import numpy as np
import pytest
from scipy import stats

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.gate import Direction, Gate
from lockgate.statistics.paired import Alternative
from lockgate.statistics.sequential import log_wealth_path
from lockgate.statistics.sequential_gate import SequentialGate

GATE = Gate(metric="pass rate", margin=0.1)


def first_verdict(gate: SequentialGate, differences: list[float]) -> tuple[Outcome, int]:
    for cases, difference in enumerate(differences, 1):
        gate.add(difference)
        if gate.settled:
            return gate.look().outcome, cases
    return gate.look().outcome, len(differences)


def test_a_collapse_is_found_early_and_not_before_the_least_number_of_samples() -> None:
    assert first_verdict(SequentialGate.paired(GATE), [-1.0] * 100) == (Outcome.FAIL, 30)


def test_equal_runs_pass_once_the_margin_is_out_of_reach() -> None:
    outcome, cases = first_verdict(SequentialGate.paired(GATE), [0.0] * 200)

    assert outcome is Outcome.PASS
    assert 30 < cases < 80


def test_a_rate_is_held_to_a_limit_case_by_case() -> None:
    gate = Gate(metric="toxicity", direction=Direction.LOWER, margin=0.05)
    toxic = SequentialGate(gate, reference=0.1)

    outcome, cases = first_verdict(toxic, [1.0, 0.0] * 50)

    assert (outcome, cases) == (Outcome.FAIL, 30)


def test_the_gate_fails_at_the_case_where_the_wealth_first_reaches_its_price() -> None:
    draw = np.random.default_rng(6)
    differences = [float(d) for d in draw.choice([-1.0, 0.0, 1.0], 600, p=[0.15, 0.8, 0.05])]
    gate = Gate(metric="pass rate", margin=0.01, min_samples=1)

    outcome, cases = first_verdict(SequentialGate.paired(gate), differences)

    path = log_wealth_path(differences, 0.0, Alternative.LESS, low=-1, high=1)
    assert outcome is Outcome.FAIL
    assert cases == int(np.argmax(path >= math.log(20))) + 1


def test_a_family_of_gates_waits_for_more_evidence_of_a_fail() -> None:
    family = Gate(metric="pass rate", margin=0.1, family=20, min_samples=1)
    alone = Gate(metric="pass rate", margin=0.1, min_samples=1)

    waits = [first_verdict(SequentialGate.paired(gate), [-1.0] * 99) for gate in (alone, family)]

    assert [outcome for outcome, _ in waits] == [Outcome.FAIL] * 2
    assert waits[0][1] < waits[1][1]


def test_looking_after_every_case_rarely_fails_an_equal_release() -> None:
    draw = np.random.default_rng(1)
    trials, fails = 40, 0
    for _ in range(trials):
        differences = draw.choice([-1.0, 0.0, 1.0], 150, p=[0.1, 0.8, 0.1])
        gate = SequentialGate.paired(Gate(metric="pass rate", margin=0.02))
        fails += first_verdict(gate, [float(d) for d in differences])[0] is Outcome.FAIL

    assert fails <= stats.binom.ppf(0.999, trials, 0.05)


def test_before_the_first_case_there_is_no_verdict() -> None:
    assert SequentialGate.paired(GATE).look().outcome is Outcome.INCONCLUSIVE


def test_a_score_that_is_no_score_is_refused() -> None:
    for value in (math.nan, 1.5):
        with pytest.raises(InvalidInput):
            SequentialGate.paired(GATE).add(value)
