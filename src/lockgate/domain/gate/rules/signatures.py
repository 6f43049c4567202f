"""Rule 3: what must be said of the release and its pins is said, by keys that may say it."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from lockgate.domain.digest import Digest
from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.policy_document import Claim, Require
from lockgate.domain.predicates import approval, bom, provenance, test_result
from lockgate.domain.predicates.approval import Approval, Choice
from lockgate.domain.trust import Role

EVERY_ENVIRONMENT: Final = "*"


class _Needs(NamedTuple):
    predicate_type: str
    body: type[Any]
    role: Role
    command: str
    """What signs it; `{}` stands for the release."""


_ATTEST: Final = "lockgate release attest {} --sign KEY"
_CLAIMS: Final = {
    Claim.PROVENANCE: _Needs(
        provenance.PREDICATE_TYPE, provenance.Provenance, Role.BUILDER, _ATTEST
    ),
    Claim.TEST_RESULT: _Needs(
        test_result.PREDICATE_TYPE,
        test_result.TestResult,
        Role.EVALUATOR,
        "lockgate release attest-tests {} JUNIT --sign KEY",
    ),
    Claim.BOM: _Needs(bom.PREDICATE_TYPE, frozenset, Role.BUILDER, _ATTEST),
    Claim.APPROVAL: _Needs(
        approval.PREDICATE_TYPE,
        Approval,
        Role.APPROVER,
        "lockgate release approve {} --to ENVIRONMENT --sign KEY",
    ),
}


def signatures(case: Case) -> Iterator[Finding]:
    """Refuse a release if an attestation that the policy requires is missing or does not count."""
    yield from policy_signed(case)
    required = list(_required(case))
    refusals = [deny_ for needed in required for deny_ in _claim(case, *needed)]
    yield from refusals
    if not refusals:
        message = f"{len(required)} required attestations are signed by keys with the right roles"
        yield allow(Rule.SIGNATURES, "present", message if required else "none is required")


def _required(case: Case) -> Iterator[tuple[Digest, str, Claim]]:
    """Yield subject, its name, and what must be said of it."""
    default = () if case.rules.require is Require.NONE else (Claim.PROVENANCE,)
    subjects = [(case.evidence.release.digest, case.what, "release")]
    pins = sorted(case.evidence.pins, key=lambda pin: (pin.role, pin.name))
    subjects += [(pin.digest, f"{pin.kind} `{pin.name}`", str(pin.kind)) for pin in pins]
    for digest, what, kind in subjects:
        for claim in case.rules.attestations.get(kind, default):
            yield digest, what, claim


def _claim(case: Case, subject: Digest, what: str, claim: Claim) -> Iterator[Finding]:
    needs = _CLAIMS[claim]
    said = [s for s in case.testimony.about(subject, needs.body) if needs.role in s.roles]
    if claim is Claim.TEST_RESULT:
        failed = [s for s in said if s.body.result is test_result.Result.FAILED]
        for found in failed:
            yield deny(
                Rule.SIGNATURES,
                "test-result",
                f"{what} {subject}: tests that `{found.holder}` signed have the result "
                f"`{found.body.result}`, required: `{test_result.Result.PASSED}`",
                hint="repair what failed, and run the tests on a new release",
            )
    if claim is Claim.APPROVAL:
        said = [s for s in said if _approves(case, s.body, subject)]
    if said:
        return
    ignored = case.testimony.ignored(subject, needs.predicate_type)
    found_text = "; ".join(ignored[:3]) if ignored else "there is none"
    yield deny(
        Rule.SIGNATURES,
        str(claim),
        f"{what} {subject} needs a `{claim}` by a key with the role `{needs.role}`: {found_text}",
        hint=f"have it signed: `{needs.command.format(case.evidence.release.digest)}`",
    )


def _approves(case: Case, body: Approval, subject: Digest) -> bool:
    return (
        body.release == subject
        and body.choice is Choice.APPROVED
        and body.environment in {case.evidence.environment, EVERY_ENVIRONMENT}
    )


def policy_signed(case: Case) -> Iterator[Finding]:
    """Refuse a policy that its owner has not signed, where it must be signed."""
    artifact = case.evidence.policy_artifact
    if not case.evidence.policy_must_be_signed and (artifact is None or not case.signed):
        return
    if artifact is None:
        yield deny(
            Rule.SIGNATURES,
            "policy",
            f"the policy must be signed, and `{case.policy.name}` is no artifact",
            hint="set `policy.artifact` to the digest of an artifact that its owner signed",
        )
        return
    owners = [
        said.holder
        for said in case.testimony.about(artifact, Approval)
        if Role.POLICY_OWNER in said.roles and _approves(case, said.body, artifact)
    ]
    if owners:
        yield allow(Rule.SIGNATURES, "policy", f"the policy is signed by {', '.join(owners)}")
        return
    ignored = "; ".join(case.testimony.ignored(artifact, approval.PREDICATE_TYPE)[:3])
    yield deny(
        Rule.SIGNATURES,
        "policy",
        f"the policy {artifact} needs an approval by a key with the role "
        f"`{Role.POLICY_OWNER}`: {ignored or 'there is none'}",
        hint=f"have its owner sign it: `lockgate policy approve {artifact} --sign KEY`",
    )
