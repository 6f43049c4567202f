from dataclasses import replace

import pytest

from domain.gate.scene import (
    BILLS,
    BUILDS,
    DATASET,
    GOOD,
    NOW,
    PRODUCTION,
    RELEASE,
    TEXT,
    TRUST,
    attest,
    billed,
    built,
    digest,
    refusal,
)
from lockgate.domain.gate.decide import decide
from lockgate.domain.gate.decision import Decision, Rule
from lockgate.domain.policy_document import Claim
from lockgate.domain.predicates import approval, test_result
from lockgate.domain.predicates.approval import Approval, Choice
from lockgate.domain.predicates.test_result import Result
from lockgate.domain.statement import Attestation

POLICY = digest("policy artifact")


@pytest.mark.parametrize("index", range(len(BUILDS)))
def test_each_part_needs_its_provenance(index: int) -> None:
    subject = BUILDS[index].statement.subjects[0].digest
    found = refusal(GOOD.without(BUILDS[index]).decide(), str(subject), "`builder`: there is none")
    assert (found.rule, found.name) == (Rule.SIGNATURES, "signatures.provenance")
    assert f"release attest {RELEASE} --sign KEY" in found.hint


def test_provenance_by_an_approver_does_not_count() -> None:
    scene = GOOD.without(BUILDS[0]).adding(built(RELEASE, by="ana"))
    found = refusal(scene.decide(), "`ana` has the roles approver, needed: builder")
    assert found.name == "signatures.provenance"


def test_provenance_of_another_release_does_not_count() -> None:
    scene = GOOD.without(BUILDS[0]).adding(built(digest("another")))
    assert refusal(scene.decide()).name == "signatures.provenance"


def test_a_required_bill_of_materials_must_be_there() -> None:
    found = refusal(GOOD.without(BILLS[0]).decide(), "model `smollm2`", "`bom`")
    assert found.name == "signatures.bom"


def with_result(result: Result) -> Attestation:
    body = test_result.TestResult(result=result, passed=("a",))
    return attest("lab", test_result.PREDICATE_TYPE, body.document, RELEASE)


def test_required_tests_must_have_passed() -> None:
    scene = GOOD.demand(attestations={**GOOD.rules.attestations, "release": (Claim.TEST_RESULT,)})
    missing = refusal(scene.decide(), "needs a `test-result`")
    assert missing.name == "signatures.test-result"
    assert f"release attest-tests {RELEASE} JUNIT" in missing.hint
    assert scene.adding(with_result(Result.PASSED)).decide().allowed
    assert scene.adding(with_result(Result.WARNED)).decide().allowed
    refusal(scene.adding(with_result(Result.FAILED)).decide(), "`FAILED`", "`PASSED`")
    refusal(
        scene.adding(with_result(Result.FAILED), with_result(Result.PASSED)).decide(), "`FAILED`"
    )


def test_a_pin_can_need_an_approval() -> None:
    scene = GOOD.demand(
        attestations={**GOOD.rules.attestations, "dataset": (Claim.PROVENANCE, Claim.APPROVAL)}
    )
    refusal(scene.decide(), "dataset `core`", "`approval`")
    body = Approval(
        approver="ana", choice=Choice.APPROVED, environment="*", release=DATASET.digest, at=NOW
    )
    good = attest("ana", approval.PREDICATE_TYPE, body.document, DATASET.digest)
    assert scene.adding(good).decide().allowed
    by_owner = replace(body, approver="dora").document
    owner = attest("dora", approval.PREDICATE_TYPE, by_owner, DATASET.digest)
    assert not scene.adding(owner).decide().allowed
    rejected = replace(body, choice=Choice.REJECTED)
    bad = attest("ana", approval.PREDICATE_TYPE, rejected.document, DATASET.digest)
    assert not scene.adding(bad).decide().allowed


def signed_policy(by: str, **changes: object) -> Attestation:
    body = Approval(approver=by, choice=Choice.APPROVED, environment="*", release=POLICY, at=NOW)
    body = replace(body, **changes)  # type: ignore[arg-type]
    return attest(by, approval.PREDICATE_TYPE, body.document, POLICY)


def under_policy(*attestations: Attestation) -> Decision:
    evidence = replace(
        GOOD.evidence,
        policy_artifact=POLICY,
        attestations=(*GOOD.attestations, *attestations),
    )
    return decide(evidence, GOOD.policy, TRUST, NOW)


def test_a_policy_artifact_must_be_signed_by_its_owner() -> None:
    assert refusal(under_policy(), str(POLICY), "`policy-owner`").name == "signatures.policy"
    assert under_policy(signed_policy("dora")).allowed
    assert under_policy(signed_policy("dora", environment=PRODUCTION)).allowed


@pytest.mark.parametrize(
    "signature",
    [
        signed_policy("ana"),
        signed_policy("dora", choice=Choice.REJECTED),
        signed_policy("dora", environment="staging"),
        signed_policy("dora", release=RELEASE),
    ],
)
def test_another_signature_does_not_make_a_policy_signed(signature: Attestation) -> None:
    assert refusal(under_policy(signature)).name == "signatures.policy"


def test_a_policy_that_must_be_signed_and_is_a_file_is_refused() -> None:
    evidence = replace(GOOD.evidence, policy_must_be_signed=True)
    refusal(decide(evidence, GOOD.policy, TRUST, NOW), "`acme` is no artifact")


def test_a_bill_of_materials_must_name_the_bytes_that_are_there() -> None:
    other = digest("other weights")
    scene = GOOD.without(BILLS[0]).adding(billed(TEXT.digest, other))
    found = refusal(scene.decide(), str(digest("weights")), str(other), "`model.gguf`")
    assert (found.rule, found.name) == (Rule.SAFETY, "artifact-safety.bom")
