from dataclasses import replace
from datetime import timedelta

import pytest

from domain.gate.scene import (
    APPROVALS,
    DATASET,
    EVALUATED,
    GOOD,
    NOW,
    RELEASE,
    TRUST,
    approved,
    attest,
    built,
    digest,
    evaluated,
    key,
    refusal,
)
from lockgate.domain.gate.decision import Rule
from lockgate.domain.predicates import approval
from lockgate.domain.predicates.approval import Approval, Choice
from lockgate.domain.statement import Attestation
from lockgate.domain.trust import Role

ANA, BEN = APPROVALS
ONE = GOOD.without(BEN)


def test_one_approval_is_not_two() -> None:
    found = refusal(ONE.decide(), "1 of the 2 approvals", "`ana`")
    assert (found.rule, found.name) == (Rule.DUTIES, "separation-of-duties.approvals")


def test_two_approvals_by_the_same_holder_are_one() -> None:
    again = approved("ana", at=NOW - timedelta(hours=1))
    refusal(ONE.adding(again).decide(), "1 of the 2 approvals")


def test_two_keys_of_the_same_holder_are_one_approver() -> None:
    spare = replace(key("ana", Role.APPROVER), fingerprint=digest("key of ana2").hex)
    body = approved("ana", at=NOW - timedelta(hours=1))
    by_spare = replace(body, key=spare.fingerprint, digest=digest("by spare"))
    trust = replace(TRUST, keys=(*TRUST.keys, spare))
    refusal(replace(ONE, trust=trust).adding(by_spare).decide(), "1 of the 2 approvals")


def other_release() -> Attestation:
    body = Approval(
        approver="ben",
        choice=Choice.APPROVED,
        environment="production",
        release=digest("another"),
        at=NOW,
    )
    return attest("ben", approval.PREDICATE_TYPE, body.document, RELEASE)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (approved("ben", choice=Choice.REJECTED), "`ben` rejected it"),
        (approved("ben", at=NOW - timedelta(days=7, hours=2)), "7 days 2 h old, at most 7 days"),
        (approved("ben", environment="staging"), "`staging`, this is `production`"),
        (approved("ben", approver="ana"), "`ben` signed an approval in the name of `ana`"),
        (approved("dora"), "`dora` has the role `policy-owner`, needed: approver"),
        (approved("mallory"), "the trust root has no key"),
        (other_release(), str(digest("another"))),
    ],
)
def test_an_approval_that_does_not_count_is_named_with_its_reason(
    second: Attestation, reason: str
) -> None:
    decision = ONE.adding(second).decide()
    found = next(f for f in decision.refusals if f.name == "separation-of-duties.approvals")
    assert reason in found.message
    assert "1 of the 2 approvals" in found.message


@pytest.mark.parametrize("subject", [RELEASE, DATASET.digest])
def test_who_built_it_or_a_part_of_it_may_not_approve_it(subject: object) -> None:
    assert ONE.adding(approved("cleo")).decide().allowed
    own = ONE.adding(approved("cleo"), built(subject, by="cleo"))  # type: ignore[arg-type]
    refusal(own.decide(), "`cleo` built it or what it pins")


def test_who_evaluated_it_may_not_approve_it() -> None:
    both = replace(key("ben", Role.APPROVER, Role.EVALUATOR))
    keys = tuple(both if k.holder == "ben" else k for k in TRUST.keys)
    scene = replace(GOOD, trust=replace(TRUST, keys=keys))
    assert scene.decide().allowed
    refusal(scene.without(EVALUATED).adding(evaluated(by="ben")).decide(), "`ben` evaluated it")


def test_approvers_come_from_the_owning_teams() -> None:
    refusal(GOOD.demand(owners=("search",)).decide(), "none of the owning teams `search`")
    assert GOOD.demand(owners=("search", "platform")).decide().allowed
    assert GOOD.demand(owners=()).decide().allowed


def test_a_rejection_is_a_veto_however_many_approve() -> None:
    scene = GOOD.adding(approved("cleo", choice=Choice.REJECTED, reason="leaks names"))
    found = refusal(scene.decide(), "`cleo` rejected", "leaks names")
    assert (found.rule, found.name) == (Rule.DUTIES, "separation-of-duties.veto")


def test_who_rejected_can_approve_afterwards_and_the_other_way_round() -> None:
    before, after = NOW - timedelta(hours=5), NOW - timedelta(hours=1)
    assert (
        GOOD.adding(approved("cleo", choice=Choice.REJECTED, at=before))
        .adding(approved("cleo", at=after))
        .decide()
        .allowed
    )
    refused = GOOD.adding(approved("ana", choice=Choice.REJECTED, at=after)).decide()
    assert [f.name for f in refused.refusals] == [
        "separation-of-duties.approvals",
        "separation-of-duties.veto",
    ]


def test_of_two_words_at_once_the_rejection_counts() -> None:
    scene = GOOD.adding(approved("ana", choice=Choice.REJECTED))
    assert not scene.decide().allowed


def test_a_break_glass_approval_is_no_approval() -> None:
    refusal(ONE.adding(approved("ben", choice=Choice.BREAK_GLASS)).decide(), "1 of the 2 approvals")


def test_where_no_approval_is_required_none_is_missed() -> None:
    assert GOOD.without(ANA, BEN).demand(approvals=0).decide().allowed
