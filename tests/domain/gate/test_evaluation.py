from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.gate.scene import (
    DATASET,
    EVALUATED,
    EVALUATION,
    GOOD,
    NOW,
    OLD,
    RELEASE,
    RESULT,
    TRUST,
    Scene,
    attest,
    digest,
    evaluated,
    pin,
    refusal,
)
from lockgate.domain.artifact import Kind
from lockgate.domain.gate.decision import Rule
from lockgate.domain.gate.evidence import Running
from lockgate.domain.policy_document import Comparator
from lockgate.domain.predicates import preregistration
from lockgate.domain.predicates.evaluation import Interval, Measured
from lockgate.domain.predicates.preregistration import Preregistration
from lockgate.domain.statement import Attestation

BARE = GOOD.without(EVALUATED)
REGISTERED = Preregistration(
    registrant="dora",
    at=RESULT.evaluated_at - timedelta(hours=1),
    suite=RESULT.suite,
    metric="accuracy",
    comparator=str(EVALUATION.comparator),
    threshold=EVALUATION.threshold,
    dataset=DATASET.digest,
)


def registered(by: str = "dora", **changes: object) -> Attestation:
    body = replace(REGISTERED, **changes)  # type: ignore[arg-type]
    return attest(by, preregistration.PREDICATE_TYPE, body.document, body.dataset)


def shown(value: str, lower: str = "", upper: str = "", level: str = "0.95") -> tuple[Measured]:
    interval = None
    if lower:
        interval = Interval(lower=Decimal(lower), upper=Decimal(upper), level=Decimal(level))
    return (Measured(metric="accuracy", value=Decimal(value), interval=interval),)


def requiring(scene: Scene = BARE, **changes: object) -> Scene:
    return scene.demand(evaluations=(replace(EVALUATION, **changes),))  # type: ignore[arg-type]


def test_a_missing_evaluation_is_refused_by_rule_4() -> None:
    found = refusal(BARE.decide(), "`core` accuracy >= 0.9 is required", "there is none")
    assert (found.rule, found.name) == (Rule.EVALUATION, "evaluation.missing")


def test_an_evaluation_by_an_approver_does_not_count() -> None:
    found = refusal(BARE.adding(evaluated(by="ana")).decide(), "needed: evaluator")
    assert found.name == "evaluation.missing"


@pytest.mark.parametrize(
    ("changes", "check", "parts"),
    [
        ({"claims": shown("0.89")}, "threshold", ("0.89", ">= 0.9")),
        ({"sample_size": 199}, "samples", ("199", "200")),
        (
            {"evaluated_at": NOW - timedelta(days=30, minutes=1)},
            "age",
            ("30 days 1 min", "30 days"),
        ),
        ({"dataset": digest("leaked")}, "dataset", (str(digest("leaked")), str(DATASET.digest))),
        ({"suite": "other"}, "missing", ("`core`",)),
        ({"claims": (Measured(metric="f1", value=Decimal(1)),)}, "missing", ("accuracy",)),
        ({"claims": shown("0.93", "0.89", "0.95")}, "interval", ("0.89", ">= 0.9", "0.95")),
        ({"claims": shown("0.96", "0.91", "0.95")}, "interval", ("0.96", "0.91", "0.95")),
    ],
)
def test_a_result_that_falls_short_is_refused_with_both_values(
    changes: dict[str, object], check: str, parts: tuple[str, ...]
) -> None:
    found = refusal(BARE.adding(evaluated(**changes)).decide(), *parts)  # type: ignore[arg-type]
    assert found.name == f"evaluation.{check}"


def test_a_result_exactly_as_old_and_as_good_as_required_is_allowed() -> None:
    edge = evaluated(
        claims=shown("0.9", "0.9", "0.94"),
        sample_size=200,
        evaluated_at=NOW - timedelta(days=30),
    )
    assert BARE.adding(edge).decide().allowed


def test_the_threshold_of_the_policy_counts_and_not_that_of_the_attestation() -> None:
    generous = Measured(
        metric="accuracy", value=Decimal("0.5"), threshold=Decimal("0.4"), passed=True
    )
    refusal(BARE.adding(evaluated(claims=(generous,))).decide(), "0.5", ">= 0.9")
    harsh = replace(generous, value=Decimal("0.95"), threshold=Decimal("0.99"), passed=False)
    assert BARE.adding(evaluated(claims=(harsh,))).decide().allowed


def test_the_evaluation_of_another_release_does_not_count() -> None:
    body = replace(RESULT, model=digest("another"))
    swapped = Attestation(
        statement=replace(EVALUATED.statement, predicate=body.document),
        key=EVALUATED.key,
        digest=digest("swapped"),
    )
    found = refusal(BARE.adding(swapped).decide(), str(digest("another")), str(RELEASE))
    assert found.name == "evaluation.release"


def test_a_later_failure_is_not_hidden_by_an_earlier_success() -> None:
    later = evaluated(claims=shown("0.5"), evaluated_at=NOW - timedelta(days=1))
    refusal(GOOD.adding(later).decide(), "0.5", ">= 0.9")


def test_an_earlier_failure_does_not_count_any_more() -> None:
    earlier = evaluated(claims=shown("0.5"), evaluated_at=NOW - timedelta(days=5))
    assert GOOD.adding(earlier).decide().allowed


def test_of_two_results_from_the_same_moment_both_must_hold() -> None:
    refusal(GOOD.adding(evaluated(claims=shown("0.5"))).decide(), "0.5")


def test_a_release_with_no_pinned_dataset_is_refused() -> None:
    scene = replace(GOOD, pins=GOOD.pins[:4]).pinning()
    found = scene.decide().refusals[-1]
    assert found.name == "evaluation.dataset"
    assert "the release pins: none" in found.message


def test_of_several_datasets_the_policy_names_one() -> None:
    second = pin("eval-dataset-2", "hard", Kind.DATASET)
    scene = GOOD.pinning(second).demand(attestations={**GOOD.rules.attestations, "dataset": ()})
    assert refusal(scene.decide(), "`core`, `hard`").name == "evaluation.dataset"
    assert requiring(scene, dataset="core").decide().allowed
    refusal(requiring(scene, dataset="hard").decide(), str(DATASET.digest), str(second.digest))
    refusal(requiring(scene, dataset="soft").decide(), "`soft`")


def test_the_harness_must_be_an_allowed_one() -> None:
    good = str(RESULT.harness_digest)
    assert requiring(GOOD, harnesses=(good,)).decide().allowed
    other = str(digest("other harness"))
    found = refusal(requiring(GOOD, harnesses=(other,)).decide(), good, other)
    assert found.name == "evaluation.harness"


def test_a_policy_can_demand_a_confidence_interval() -> None:
    scene = requiring(GOOD, interval_required=True)
    assert refusal(scene.decide()).name == "evaluation.interval"
    with_interval = evaluated(claims=shown("0.93", "0.91", "0.95"))
    assert scene.without(EVALUATED).adding(with_interval).decide().allowed


@pytest.mark.parametrize(
    ("comparator", "good", "bad"),
    [
        (Comparator.AT_LEAST, "0.9", "0.89"),
        (Comparator.ABOVE, "0.91", "0.9"),
        (Comparator.AT_MOST, "0.9", "0.91"),
        (Comparator.BELOW, "0.89", "0.9"),
        (Comparator.EQUAL, "0.9", "0.91"),
    ],
)
def test_each_comparator_means_what_it_says(comparator: Comparator, good: str, bad: str) -> None:
    scene = requiring(comparator=comparator)
    assert scene.adding(evaluated(claims=shown(good))).decide().allowed
    refusal(scene.adding(evaluated(claims=shown(bad))).decide(), bad, f"{comparator} 0.9")


def test_for_an_upper_bound_the_upper_end_of_the_interval_must_hold() -> None:
    scene = requiring(comparator=Comparator.AT_MOST)
    assert scene.adding(evaluated(claims=shown("0.8", "0.7", "0.9"))).decide().allowed
    refusal(scene.adding(evaluated(claims=shown("0.8", "0.7", "0.91"))).decide(), "0.91")


def running(value: str, **changes: object) -> Running:
    result = evaluated(model=OLD, claims=shown(value), **changes)  # type: ignore[arg-type]
    return Running(release=OLD, attestations=(result,))


@pytest.mark.parametrize("before", ["0.9", "0.94"])
def test_a_release_may_fall_behind_what_runs_now_by_the_allowed_amount(before: str) -> None:
    assert GOOD.there(running=running(before)).decide().allowed


def test_a_release_may_not_fall_behind_what_runs_now_by_more() -> None:
    found = refusal(GOOD.there(running=running("0.941")).decide(), "0.93", "0.941", "0.01")
    assert (found.rule, found.name) == (Rule.EVALUATION, "evaluation.regression")
    assert str(OLD) in found.hint


def test_where_less_is_better_more_is_a_regression() -> None:
    scene = requiring(GOOD, comparator=Comparator.AT_MOST, threshold=Decimal(1))
    assert scene.there(running=running("0.92")).decide().allowed
    refusal(scene.there(running=running("0.9")).decide(), "0.93", "0.9")


def test_where_equality_is_required_both_directions_are_a_regression() -> None:
    scene = requiring(GOOD, comparator=Comparator.EQUAL, threshold=Decimal("0.93"))
    assert scene.there(running=running("0.94")).decide().allowed
    refusal(scene.there(running=running("0.95")).decide())
    refusal(scene.there(running=running("0.91")).decide())


@pytest.mark.parametrize(
    "baseline",
    [
        Running(release=OLD),
        running("0.9", dataset=digest("another dataset")),
        running("0.9", suite="another"),
        Running(release=OLD, attestations=(evaluated(by="mallory", model=OLD),)),
        Running(release=OLD, attestations=(EVALUATED,)),
    ],
)
def test_a_running_release_without_a_comparable_result_is_a_refusal_unless_policy_says_no(
    baseline: Running,
) -> None:
    scene = GOOD.there(running=baseline)
    found = refusal(scene.decide(), str(OLD), str(DATASET.digest))
    assert found.name == "evaluation.baseline"
    assert requiring(scene, baseline_required=False).decide().allowed


def test_a_release_is_not_compared_with_itself_or_where_the_policy_does_not_ask() -> None:
    assert GOOD.there(running=Running(release=RELEASE)).decide().allowed
    assert requiring(GOOD.there(running=running("1")), max_regression=None).decide().allowed


def test_an_evaluation_by_a_revoked_key_does_not_count() -> None:
    keys = tuple(replace(k, revoked=k.holder == "lab") for k in TRUST.keys)
    scene = replace(GOOD, trust=replace(TRUST, keys=keys))
    refusal(scene.decide(), "`lab` is revoked")


def test_a_criterion_that_was_signed_before_the_result_lets_it_count() -> None:
    scene = requiring(GOOD, preregistered=True)
    found = refusal(scene.decide(), "`>= 0.9` must be registered", "nothing")
    assert found.name == "evaluation.registration"
    assert "lockgate policy register" in found.hint
    assert scene.adding(registered()).decide().allowed


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"threshold": Decimal("0.8")}, ("registered by a policy owner: `>= 0.8`",)),
        ({"comparator": ">"}, ("registered by a policy owner: `> 0.9`",)),
        ({"suite": "other"}, ("nothing",)),
        ({"metric": "f1"}, ("nothing",)),
        ({"dataset": digest("another dataset")}, ("nothing",)),
        ({"at": RESULT.evaluated_at}, ("was registered at", "measured at", "required: before")),
        ({"by": "lab"}, ("needed: policy-owner",)),
    ],
)
def test_another_or_a_late_registration_does_not_count(
    changes: dict[str, Any], parts: tuple[str, ...]
) -> None:
    scene = requiring(GOOD, preregistered=True).adding(registered(**changes))
    assert refusal(scene.decide(), *parts).name == "evaluation.registration"


def test_the_first_registration_counts_and_a_later_one_takes_nothing_away() -> None:
    late = registered(at=NOW - timedelta(hours=1))
    scene = requiring(GOOD, preregistered=True).adding(late, registered())
    assert scene.decide().allowed
