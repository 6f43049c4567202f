import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.verdict import Outcome
from lockgate.errors import InvalidInput
from lockgate.statistics.gate import Direction, Evidence, Gate, judge
from lockgate.statistics.intervals import Interval
from lockgate.statistics.quality import compare_rates


def evidence(lower: float, upper: float, **changes: float) -> Evidence:
    given = {"value": (lower + upper) / 2, "reference": 0.0, "samples": 100, **changes}
    return Evidence(
        value=given["value"],
        reference=given["reference"],
        samples=int(given["samples"]),
        p_value=given.get("p_value"),
        interval=lambda confidence: Interval(
            lower=lower, upper=upper, confidence=confidence, method="given"
        ),
    )


@pytest.mark.parametrize(
    ("lower", "upper", "outcome"),
    [
        (-0.01, 0.03, Outcome.PASS),
        (-0.01, -0.001, Outcome.PASS),
        (-0.03, -0.01, Outcome.FAIL),
        (-0.30, -0.10, Outcome.FAIL),
        (-0.03, 0.03, Outcome.INCONCLUSIVE),
        (-0.0201, 0.0, Outcome.INCONCLUSIVE),
    ],
)
def test_the_ends_of_the_interval_decide_the_verdict(
    lower: float, upper: float, outcome: Outcome
) -> None:
    more = judge(Gate(metric="rate", margin=0.02), evidence(lower, upper))
    less = judge(
        Gate(metric="rate", margin=0.02, direction=Direction.LOWER), evidence(-upper, -lower)
    )

    assert more.outcome is less.outcome is outcome
    assert more.verdict.outcome is outcome
    assert "`rate`" in more.reason


@given(st.floats(-1, 1), st.floats(0, 1), st.integers(0, 29), st.sampled_from(list(Direction)))
def test_too_few_samples_get_no_verdict_whatever_they_say(
    lower: float, width: float, samples: int, direction: Direction
) -> None:
    gate = Gate(metric="rate", direction=direction)

    result = judge(gate, evidence(lower, lower + width, samples=samples))

    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.more_samples == 30 - samples
    assert "at least 30 are needed" in result.reason


def test_a_fail_needs_the_exact_test_to_agree() -> None:
    gate = Gate(metric="rate", margin=0.001)

    assert judge(gate, evidence(-0.1, -0.01, p_value=0.04)).outcome is Outcome.FAIL
    assert judge(gate, evidence(-0.1, -0.01, p_value=0.06)).outcome is Outcome.INCONCLUSIVE


def test_one_gate_of_a_family_needs_more_to_fail_and_no_more_to_pass() -> None:
    baseline = [1.0] * 100 + [0.0] * 900
    worse = [0.0] * 12 + [1.0] * 88 + [0.0] * 895 + [1.0] * 5

    alone = compare_rates(Gate(metric="rate", margin=0.005), worse, baseline)
    one_of_ten = compare_rates(Gate(metric="rate", margin=0.005, family=10), worse, baseline)

    assert alone.p_value == pytest.approx(0.0717, abs=1e-4)
    assert alone.outcome is one_of_ten.outcome is Outcome.INCONCLUSIVE
    worse[:14] = [0.0] * 14
    assert compare_rates(Gate(metric="rate", margin=0.005), worse, baseline).outcome is Outcome.FAIL
    family = Gate(metric="rate", margin=0.005, family=10)
    assert compare_rates(family, worse, baseline).outcome is Outcome.INCONCLUSIVE
    wide = [Gate(metric="rate", margin=0.05, family=n) for n in (1, 10)]
    assert {compare_rates(gate, worse, baseline).outcome for gate in wide} == {Outcome.PASS}


def test_the_estimate_of_more_samples_brings_a_verdict_when_the_cases_go_on_alike() -> None:
    gate = Gate(metric="rate", margin=0.02)
    losses, cases = 3, 150
    candidate = [0.0] * losses + [1.0] * (cases - losses)
    first = compare_rates(gate, candidate, [1.0] * cases)
    assert first.outcome is Outcome.INCONCLUSIVE
    assert first.more_samples is not None

    times = math.ceil((cases + first.more_samples) / cases)
    second = compare_rates(gate, candidate * times, [1.0] * cases * times)

    assert second.outcome is not Outcome.INCONCLUSIVE


def test_no_number_of_samples_is_promised_at_the_reference_without_a_margin() -> None:
    result = judge(Gate(metric="rate"), evidence(-0.1, 0.1))

    assert result.outcome is Outcome.INCONCLUSIVE
    assert result.more_samples is None
    assert "too near a bound" in result.reason


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_metric_that_is_no_number_gets_no_verdict(value: float) -> None:
    with pytest.raises(InvalidInput, match="`rate` is"):
        judge(Gate(metric="rate"), evidence(-1, 1, value=value))
    with pytest.raises(InvalidInput, match="reference"):
        judge(Gate(metric="rate"), evidence(-1, 1, reference=value))


@pytest.mark.parametrize(
    "fault",
    [
        {"margin": -0.1},
        {"margin": math.nan},
        {"confidence": 0.5},
        {"confidence": 95},
        {"min_samples": 0},
        {"family": 0},
    ],
)
def test_a_gate_with_an_impossible_number_is_refused(fault: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="`rate` has"):
        Gate(metric="rate", **fault)  # type: ignore[arg-type]


def test_a_result_is_plain_json_with_infinite_ends_left_out() -> None:
    document = judge(Gate(metric="p95"), evidence(-1, math.inf, value=0.0)).document

    again = json.loads(json.dumps(document, allow_nan=False))
    assert again["outcome"] == "inconclusive"
    assert again["interval"] == {
        "lower": -1,
        "upper": None,
        "confidence": pytest.approx(0.9),
        "method": "given",
    }
