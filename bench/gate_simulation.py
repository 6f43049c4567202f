#!/usr/bin/env python3
"""Let the gates judge releases whose truth is known, and print how often they were wrong.

usage: bench/gate_simulation.py [TRIALS] [SEED]

False alarms are fails of a release that is no worse; the interval beside them is the exact one at
95 %. Power is how often a pass rate that truly fell by 3 points, of 1,000 cases that both releases
ran, failed. It depends on the discordance, the share of cases that the two releases judge
differently: the same drop is harder to see among more flips back and forth. Gates ask for 95 %.
Drops of the whole margin are judged ten times as often.
Rows that end in "exactly" are no trials: the probabilities of all that can be seen are summed up.
Exit status 1: a level is refuted by its interval, or a power that is asked for falls short.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lockgate.domain.verdict import Outcome
from lockgate.statistics.bootstrap import Method
from lockgate.statistics.calibration import require_calibrated
from lockgate.statistics.drift import psi
from lockgate.statistics.drift_gate import watch
from lockgate.statistics.exchange import ExchangeProcess
from lockgate.statistics.gate import Direction, Gate
from lockgate.statistics.intervals import clopper_pearson
from lockgate.statistics.paired import Alternative, mcnemar
from lockgate.statistics.performance import compare_quantiles
from lockgate.statistics.quality import compare_means, compare_rates
from lockgate.statistics.sequential import log_wealth_path
from lockgate.statistics.special import binomial_upper_tail

CASES, DROP, MARGIN = 1_000, 0.03, 0.02
LEVEL, POWER = 0.05, 0.9
PRICE = -math.log(LEVEL)
ASKED = {"gate": 0.09, "looks": 0.06}
"""Up to this discordance the power must be reached: by the gate at the end, and by looks."""
NIGHTS, VALUES = 20, 40
AT_LEVEL = "drop of the whole margin"

Trial = Callable[[np.random.Generator], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """How often something happened, and how often it may or must."""

    what: str
    happened: int
    trials: int
    most: float = 1.0
    least: float = 0.0

    @property
    def share(self) -> float:
        return self.happened / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        ends = clopper_pearson(self.happened, self.trials)
        return ends.lower, ends.upper

    @property
    def refuted(self) -> bool:
        """Whether the trials speak against what is asked, beyond chance."""
        lower, upper = self.interval
        return lower > self.most or upper < self.least

    def __str__(self) -> str:
        lower, upper = self.interval
        asked = f"<= {self.most:.0%}" if self.most < 1 else f">= {self.least:.0%}"
        asked = asked if self.most < 1 or self.least > 0 else ""
        share = f"{self.share:6.1%}  ({lower:.1%} to {upper:.1%})"
        return f"{self.what:66} {share:26} {asked:7} {'REFUTED' if self.refuted else ''}"


def runs(
    draw: np.random.Generator, discordance: float, drop: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return passes of a candidate and a baseline: `drop` more losses than gains."""
    chance = draw.random(CASES)
    lost = chance < (discordance + drop) / 2
    gained = ~lost & (chance < discordance)
    alike = (draw.random(CASES) < 0.85).astype(float)
    return np.where(lost, 0.0, np.where(gained, 1.0, alike)), np.where(
        lost, 1.0, np.where(gained, 0.0, alike)
    )


def judged(discordance: float, drop: float, outcome: Outcome) -> Trial:
    gate = Gate(metric="pass rate", margin=DROP if outcome is Outcome.PASS else MARGIN)

    def trial(draw: np.random.Generator) -> bool:
        return compare_rates(gate, *runs(draw, discordance, drop)).outcome is outcome

    return trial


def watched(discordance: float, drop: float) -> Trial:
    def trial(draw: np.random.Generator) -> bool:
        candidate, baseline = runs(draw, discordance, drop)
        path = log_wealth_path(candidate - baseline, 0.0, Alternative.LESS, low=-1, high=1)
        return bool(path.max() >= PRICE)

    return trial


def peeked(discordance: float) -> Trial:
    def trial(draw: np.random.Generator) -> bool:
        candidate, baseline = runs(draw, discordance, 0.0)
        gains = np.cumsum(candidate > baseline)
        losses = np.cumsum(candidate < baseline)
        moved = np.flatnonzero(np.diff(losses, prepend=0))
        return any(
            mcnemar(int(gains[i]), int(losses[i]), alternative=Alternative.LESS) <= LEVEL
            for i in moved
        )

    return trial


def scored(drop: float) -> Trial:
    gate = Gate(metric="score", margin=0.001)

    def trial(draw: np.random.Generator) -> bool:
        baseline = draw.beta(8, 2, 300)
        candidate = np.clip(baseline + draw.normal(-drop, 0.1, 300), 0, 1)
        other = np.clip(baseline + draw.normal(0, 0.1, 300), 0, 1)
        result = compare_means(gate, candidate, other, seed=int(draw.integers(1 << 31)))
        assert result.interval is not None
        assert result.interval.method == Method.BCA
        return result.outcome is Outcome.FAIL

    return trial


def slower(factor: float, outcome: Outcome) -> Trial:
    gate = Gate(metric="p95", direction=Direction.LOWER, margin=0.1)

    def trial(draw: np.random.Generator) -> bool:
        cases = draw.lognormal(0, 0.6, 200)
        times = [cases * draw.lognormal(0, 0.1, 200) * by for by in (factor, 1.0)]
        seed = int(draw.integers(1 << 31))
        return compare_quantiles(gate, *times, q=0.95, seed=seed).outcome is outcome

    return trial


def calibrated(draw: np.random.Generator) -> bool:
    said = draw.beta(4, 2, 500)
    right = (draw.random(500) < said).tolist()
    gate = Gate(metric="ece", direction=Direction.LOWER)
    return require_calibrated(gate, said, right, limit=0.0).outcome is Outcome.FAIL


def nights(move: float) -> Trial:
    gate = Gate(metric="psi", direction=Direction.LOWER)

    def trial(draw: np.random.Generator) -> bool:
        reference = draw.normal(0, 1, 300)
        process = ExchangeProcess(reference, seed=int(draw.integers(1 << 31)))
        for night in range(NIGHTS):
            tonight = draw.normal(move * (night >= NIGHTS // 2), 1, VALUES)
            process.add_night(tonight)
            if process.p_value > LEVEL:
                continue
            if watch(gate, psi(reference, tonight), process, limit=0.0).outcome is Outcome.FAIL:
                return True
        return False

    return trial


def scenarios() -> Iterator[tuple[str, Trial, float, float]]:
    """Yield what is simulated, with the most and the least share that is asked for."""
    for d in (0.05, 0.10, 0.20):
        yield f"equal, discordance {d:.0%}: passes at the end", judged(d, 0, Outcome.PASS), 1.0, 0.0
        yield (
            f"equal, discordance {d:.0%}: fails at the end",
            judged(d, 0, Outcome.FAIL),
            LEVEL,
            0.0,
        )
        yield f"equal, discordance {d:.0%}: fails at any of 1,000 looks", watched(d, 0), LEVEL, 0.0
    for d in (0.05, 0.10, 0.20):
        name = f"{AT_LEVEL}, discordance {d:.0%}: passes"
        yield name, judged(d, DROP, Outcome.PASS), LEVEL, 0.0
    for d in (0.04, 0.06, 0.09, 0.12, 0.20):
        name = f"drop of 3 points, discordance {d:.0%}: fails at the end"
        yield name, judged(d, DROP, Outcome.FAIL), 1.0, POWER * (d <= ASKED["gate"])
        name = f"drop of 3 points, discordance {d:.0%}: fails by the last look"
        yield name, watched(d, DROP), 1.0, POWER * (d <= ASKED["looks"])
    yield "equal, discordance 10%: McNemar after every case, for contrast", peeked(0.1), 1.0, 0.0
    yield "equal mean scores, 300 cases: fails", scored(0.0), LEVEL, 0.0
    yield "mean scores 3 points lower, 300 cases: fails", scored(DROP), 1.0, POWER
    yield "equal p95 latency, 200 cases: fails", slower(1.0, Outcome.FAIL), LEVEL, 0.0
    yield "p95 slower by the whole margin: passes", slower(1.1, Outcome.PASS), LEVEL, 0.0
    yield "calibrated confidences, 500 cases, limit 0: fails", calibrated, LEVEL, 0.0
    yield f"no drift: fails in any of {NIGHTS} nights", nights(0.0), LEVEL, 0.0
    yield "drift of one deviation halfway: fails", nights(1.0), 1.0, POWER


def exact_passes(discordance: float, drop: float) -> float:
    """Return the probability that `judged` passes: for each number of losses the least gains."""
    gate = Gate(metric="pass rate", margin=drop)
    lost, gained = (discordance + drop) / 2, (discordance - drop) / 2
    far = 6 * math.sqrt(CASES * lost) + 10
    total, least = 0.0, 0
    for losses in range(max(0, int(CASES * lost - far)), int(CASES * lost + far)):
        while least + losses < CASES and not _passes(gate, least, losses):
            least += 1
        chance = binomial_upper_tail(losses, CASES, lost)
        chance -= binomial_upper_tail(losses + 1, CASES, lost)
        total += chance * binomial_upper_tail(least, CASES - losses, gained / (1 - lost))
    return total


def _passes(gate: Gate, gains: int, losses: int) -> bool:
    candidate = np.zeros(CASES)
    baseline = np.zeros(CASES)
    candidate[:gains] = 1
    baseline[gains : gains + losses] = 1
    return compare_rates(gate, candidate, baseline).outcome is Outcome.PASS


def simulate(trials: int, seed: int, *, more: int = 1) -> Iterator[Row]:
    """Yield the rows; those whose true rate is the level itself get `more` times the trials."""
    for number, (what, trial, most, least) in enumerate(scenarios()):
        draw = np.random.default_rng([seed, number])
        # 1,000 trials tell 5 % from 6 % only by chance.
        times = more * trials if what.startswith(AT_LEVEL) else trials
        happened = sum(trial(draw) for _ in range(times))
        yield Row(what, happened, times, most=most, least=least)


def main() -> int:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20_261
    started, bad = time.perf_counter(), 0
    print(
        f"{trials} trials each, seed {seed}; share with its exact 95 % interval, and what is asked"
    )
    for row in simulate(trials, seed, more=10):
        print(row, flush=True)
        bad += row.refuted
    for discordance in (DROP, 0.05, 0.10, 0.20):
        share = exact_passes(discordance, DROP)
        bad += share > LEVEL
        name = f"{AT_LEVEL}, discordance {discordance:.0%}: passes, exactly"
        print(f"{name:66} {share:6.2%} {'':19} <= 5%   {'REFUTED' if share > LEVEL else ''}")
    print(f"{time.perf_counter() - started:.0f} s")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
