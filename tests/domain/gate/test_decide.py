from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.gate.scene import (
    EVALUATED,
    GOOD,
    NOW,
    RELEASE,
    TRUST,
    approved,
    attest,
    billed,
    built,
    digest,
    evaluated,
    refusal,
)
from lockgate.domain.digest import canonical
from lockgate.domain.gate.decide import decide
from lockgate.domain.gate.decision import Outcome, Rule
from lockgate.domain.gate.evidence import Evidence
from lockgate.domain.policy_document import EMBEDDED, PolicyDocument
from lockgate.domain.predicates import provenance
from lockgate.domain.statement import Attestation

REQUIRED = GOOD.attestations
STRANGERS = (
    built(RELEASE, by="mallory"),
    evaluated(by="mallory"),
    approved("mallory"),
    approved("eve"),
    billed(RELEASE, by="mallory"),
)


def test_a_release_that_everything_speaks_for_is_allowed() -> None:
    decision = GOOD.decide()

    assert decision.verdict is Outcome.ALLOW, [f.message for f in decision.refusals]
    assert {f.rule for f in decision.findings} == set(Rule)
    assert decision.notes == ()


def test_every_refusal_is_told_and_in_the_order_of_the_rules() -> None:
    decision = replace(GOOD, attestations=()).there(ram_mib=1, retention_days=1).decide()

    assert [f.rule for f in decision.refusals] == sorted(f.rule for f in decision.refusals)
    assert {f.rule for f in decision.refusals} == {
        Rule.SIGNATURES,
        Rule.EVALUATION,
        Rule.DUTIES,
        Rule.ENVIRONMENT,
    }


@given(removed=st.sets(st.sampled_from(range(len(REQUIRED))), min_size=1))
def test_a_release_without_any_of_the_required_attestations_is_denied(removed: set[int]) -> None:
    scene = GOOD.without(*(REQUIRED[i] for i in removed))
    assert scene.decide().verdict is Outcome.DENY


@given(
    removed=st.sets(st.sampled_from(range(len(REQUIRED))), min_size=1),
    strangers=st.sets(st.sampled_from(range(len(STRANGERS))), min_size=1),
)
def test_no_attestation_by_an_unknown_key_turns_a_refusal_into_an_allowance(
    removed: set[int], strangers: set[int]
) -> None:
    scene = GOOD.without(*(REQUIRED[i] for i in removed))
    added = scene.adding(*(STRANGERS[i] for i in strangers)).decide()
    assert added.verdict is Outcome.DENY
    assert len(added.notes) == len(strangers)


@given(order=st.permutations((*REQUIRED, *STRANGERS, evaluated(sample_size=9))), data=st.data())
def test_the_order_of_attestations_changes_no_byte_of_the_decision(
    order: list[Attestation], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(order), max_size=3))
    decision = replace(GOOD, attestations=(*order, *repeated)).decide()
    straight = replace(GOOD, attestations=tuple(sorted(order, key=lambda a: a.digest))).decide()
    assert canonical(decision.document) == canonical(straight.document)


def test_the_same_inputs_give_the_same_bytes_in_any_time_zone() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    assert there.tzinfo is not UTC
    assert replace(GOOD, now=there).decide().digest == GOOD.decide().digest


def test_a_decision_names_the_digests_of_all_that_it_rests_on() -> None:
    inputs = GOOD.decide().inputs
    assert inputs["release"] == str(RELEASE)
    assert inputs["policy"] == str(GOOD.policy.digest)
    assert inputs["attestations"] == sorted(str(a.digest) for a in REQUIRED)
    other = replace(GOOD, trust=replace(TRUST, version=4)).decide().inputs
    assert inputs["trustRoot"] != other["trustRoot"]


def test_a_time_without_a_zone_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        replace(GOOD, now=datetime(2026, 11, 18)).decide()  # noqa: DTZ001


def test_what_was_not_let_in_is_noted_and_refuses_nothing() -> None:
    evidence = replace(GOOD.evidence, refused=("b: the signature does not verify", "a: not DSSE"))
    decision = decide(evidence, GOOD.policy, TRUST, NOW)
    assert decision.allowed
    assert decision.notes == ("refused: a: not DSSE", "refused: b: the signature does not verify")


def test_attestations_that_do_not_count_are_noted_with_the_reason() -> None:
    foreign = built(digest("another release"))
    unknown = attest("ci", "https://example.org/claim", {}, RELEASE)
    broken = attest("ci", provenance.PREDICATE_TYPE, {"runDetails": {}}, RELEASE)
    late = evaluated(evaluated_at=NOW + timedelta(minutes=6))

    notes = "\n".join(GOOD.adding(foreign, unknown, broken, late).decide().notes)

    assert f"it is about {digest('another release')}, which is not part of the release" in notes
    assert "the gate does not read `https://example.org/claim`" in notes
    assert "provenance.buildDefinition is not an object" in notes
    assert "it is from 2026-11-18T12:06:00Z, it is 2026-11-18T12:00:00Z" in notes


def test_a_machine_with_no_policy_and_no_keys_allows_and_marks_it() -> None:
    evidence = Evidence(environment="local", release=GOOD.release, pins=GOOD.pins)
    decision = decide(evidence, EMBEDDED, None, NOW)
    assert decision.allowed
    assert "environment.unsigned" in [f.name for f in decision.findings]


def test_an_environment_that_the_policy_does_not_know_is_refused() -> None:
    evidence = replace(GOOD.evidence, environment="prod")
    decision = decide(evidence, GOOD.policy, TRUST, NOW)
    found = refusal(decision, "`production`, `staging`, not `prod`")
    assert found.name == "environment.known"


def test_a_deferred_decision_says_when_to_ask_again() -> None:
    scene = GOOD.there(previous_promoted_at=NOW - timedelta(hours=1))
    assert scene.decide().retry_at == NOW + timedelta(hours=23)
    assert scene.without(EVALUATED).decide().retry_at is None


def test_one_refusal_among_many_allowances_denies() -> None:
    flawed = replace(GOOD.release, flaws=("config: pinned sha256:a, found sha256:b",))
    assert replace(GOOD, release=flawed).decide().verdict is Outcome.DENY


def test_twenty_attestations_on_five_pins_are_decided_in_five_milliseconds() -> None:
    more = [evaluated(sample_size=200 + i) for i in range(20 - len(REQUIRED))]
    scene = GOOD.adding(*more)
    evidence, policy = scene.evidence, scene.policy
    assert (len(evidence.pins), len(evidence.attestations)) == (5, 20)

    best = min(_seconds(evidence, policy) for _ in range(20))

    assert decide(evidence, policy, TRUST, NOW).allowed
    assert best <= 0.005


def _seconds(evidence: Evidence, policy: PolicyDocument) -> float:
    started = process_time()
    decide(evidence, policy, TRUST, NOW)
    return process_time() - started
