import numpy as np
import pytest

from gate_simulation import CASES, DROP, Row, runs, simulate


@pytest.mark.parametrize("seed", [1])
def test_no_gate_is_wrong_more_often_than_it_says_nor_finds_less_than_is_asked(seed: int) -> None:
    rows = list(simulate(40, seed))

    assert [str(row) for row in rows if row.refuted] == []
    assert sum(row.most < 1 for row in rows) >= 10
    assert sum(row.least > 0 for row in rows) >= 5


def test_a_row_is_refuted_just_when_its_interval_excludes_what_is_asked() -> None:
    assert not Row("false alarms", 60, 1000, most=0.05).refuted
    assert Row("false alarms", 70, 1000, most=0.05).refuted
    assert not Row("power", 890, 1000, least=0.9).refuted
    assert Row("power", 870, 1000, least=0.9).refuted


def test_simulated_runs_have_the_drop_and_the_discordance_that_they_say() -> None:
    draw = np.random.default_rng(0)
    pairs = [runs(draw, 0.1, DROP) for _ in range(200)]

    drops = [baseline.mean() - candidate.mean() for candidate, baseline in pairs]
    flips = [np.mean(candidate != baseline) for candidate, baseline in pairs]
    assert np.mean(drops) == pytest.approx(DROP, abs=0.003)
    assert np.mean(flips) == pytest.approx(0.1, abs=0.003)
    assert pairs[0][0].size == CASES
