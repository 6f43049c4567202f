"""Admission: may a release that was promoted some time ago run now? Quicker than a promotion."""

from collections.abc import Iterator
from datetime import datetime

from lockgate.domain.gate.case import Case, open_case
from lockgate.domain.gate.decide import settle
from lockgate.domain.gate.decision import Decision, Finding, Rule, allow, deny
from lockgate.domain.gate.evidence import Evidence
from lockgate.domain.gate.rules.duties import veto
from lockgate.domain.gate.rules.rollback import against_verdict, verdicts, why
from lockgate.domain.gate.rules.signatures import policy_signed, signatures
from lockgate.domain.gate.rules.surroundings import known
from lockgate.domain.gate.rules.trust_root import trust_root
from lockgate.domain.instants import instant_text
from lockgate.domain.policy_document import PolicyDocument, Require
from lockgate.domain.trust import TrustRoot


def admit(
    evidence: Evidence, policy: PolicyDocument, trust: TrustRoot | None, now: datetime
) -> Decision:
    """Say whether an environment's policy lets a release run there.

    `require = "none"` admits everything. `"signed"` needs the attestations of the release and of
    its pins. `"promoted"` needs only the release's own: one verdict of the gate, under a policy
    in force, stands for all the rest. A rollback by break-glass gets a verdict too. Where
    the policy itself must be signed, its owner's signature is asked for in every case: a swapped
    one could require nothing.
    """
    case = open_case(evidence, policy, trust, now)
    match case.rules.require:
        case Require.NONE if evidence.policy_must_be_signed:
            return settle(case, (trust_root, policy_signed, known, _unsigned))
        case Require.NONE:
            return settle(case, (known, _unsigned))
        case Require.SIGNED:
            return settle(case, (trust_root, signatures, known))
        case Require.PROMOTED:
            return settle(case, (trust_root, policy_signed, veto, known, _verdict))


def _unsigned(case: Case) -> Iterator[Finding]:
    yield allow(
        Rule.ENVIRONMENT,
        "admitted",
        f"`{case.evidence.environment}` requires `{case.rules.require}`",
    )


def _verdict(case: Case) -> Iterator[Finding]:
    reasons = []
    for said in verdicts(case):
        reason = against_verdict(case, said)
        if not reason:
            yield allow(
                Rule.ENVIRONMENT,
                "admitted",
                f"`{said.holder}` let it through at {instant_text(said.body.verified_at)}",
            )
            return
        reasons.append(reason)
    yield deny(
        Rule.ENVIRONMENT,
        "admitted",
        f"{case.what} has no valid verdict for `{case.evidence.environment}`, which requires "
        f"`{case.rules.require}`: {why(case, reasons)}",
        hint=f"promote it: `lockgate promote {case.evidence.release.digest} "
        f"--to {case.evidence.environment}`",
    )
