"""The gate: every rule is asked, and every refusal is told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lockgate.domain.digest import Digest, Json
from lockgate.domain.gate.case import Case, RuleFunction, open_case
from lockgate.domain.gate.decision import Decision
from lockgate.domain.gate.evidence import Evidence, Intent
from lockgate.domain.gate.evidence_document import evidence_document
from lockgate.domain.gate.rules.closure import closure
from lockgate.domain.gate.rules.coherence import coherence
from lockgate.domain.gate.rules.duties import duties, veto
from lockgate.domain.gate.rules.evaluation import evaluations
from lockgate.domain.gate.rules.regression import regression
from lockgate.domain.gate.rules.rollback import rollback
from lockgate.domain.gate.rules.safety import safety
from lockgate.domain.gate.rules.signatures import signatures
from lockgate.domain.gate.rules.stage import freeze, soak
from lockgate.domain.gate.rules.surroundings import allowed, known, quota, records
from lockgate.domain.gate.rules.trust_root import trust_root
from lockgate.domain.instants import instant_text
from lockgate.domain.policy_document import PolicyDocument
from lockgate.domain.trust import TrustRoot

PROMOTION: Final[tuple[RuleFunction, ...]] = (
    closure,
    trust_root,
    signatures,
    evaluations,
    regression,
    duties,
    veto,
    safety,
    coherence,
    known,
    soak,
    freeze,
    allowed,
    records,
    quota,
)
ROLLBACK: Final[tuple[RuleFunction, ...]] = (
    closure,
    trust_root,
    signatures,
    veto,
    safety,
    coherence,
    known,
    rollback,
    allowed,
    records,
    quota,
)
"""Without evaluation, approvals, soak and freeze: the verdict of then, or the broken glass, stands
for them."""


def decide(
    evidence: Evidence, policy: PolicyDocument, trust: TrustRoot | None, now: datetime
) -> Decision:
    """Say whether the release may be promoted to the environment, and why.

    Pure: the same arguments give the same bytes, whatever the order of the attestations. Every
    rule is asked, so that one refusal does not hide another. Without a trust root no attestation
    counts. `now` has a time zone.
    """
    rules = PROMOTION if evidence.intent is Intent.PROMOTE else ROLLBACK
    return settle(open_case(evidence, policy, trust, now), rules)


def settle(case: Case, rules: Sequence[RuleFunction]) -> Decision:
    """Ask the rules in their order, and write down what the answer rests on."""
    evidence = case.evidence
    return Decision(
        task=evidence.release.task,
        environment=evidence.environment,
        release=evidence.release.digest,
        intent=str(evidence.intent),
        at=case.now,
        findings=tuple(finding for rule in rules for finding in rule(case)),
        notes=(
            *(unheard.note for unheard in case.testimony.unheard),
            *sorted(f"refused: {reason}" for reason in evidence.refused),
        ),
        inputs=_inputs(case),
    )


def _inputs(case: Case) -> dict[str, Json]:
    evidence, running = case.evidence, case.evidence.surroundings.running
    artifact = evidence.policy_artifact
    return {
        "release": str(evidence.release.digest),
        "evidence": str(Digest.of_json(evidence_document(evidence))),
        "policy": str(case.policy.digest),
        "policyArtifact": None if artifact is None else str(artifact),
        "trustRoot": None if case.trust is None else str(trust_digest(case.trust)),
        "running": None if running is None else str(running.release),
        "attestations": sorted({str(a.digest) for a in evidence.attestations}),
    }


def trust_digest(trust: TrustRoot) -> Digest:
    """Return the digest of what a trust root says, however it was written."""
    return Digest.of_json(
        {
            "version": trust.version,
            "expires": instant_text(trust.expires),
            "threshold": trust.threshold,
            "keys": [
                {
                    "fingerprint": key.fingerprint,
                    "holder": key.holder,
                    "roles": sorted(str(role) for role in key.roles),
                    "scopes": list(key.scopes),
                    "expires": None if key.expires is None else instant_text(key.expires),
                    "revoked": key.revoked,
                }
                for key in sorted(trust.keys, key=lambda key: key.fingerprint)
            ],
        }
    )
