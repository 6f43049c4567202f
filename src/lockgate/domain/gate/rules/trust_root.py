"""Rule 2: there is a trust root to judge signers by, and it is in force."""

from collections.abc import Iterator

from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.instants import instant_text


def trust_root(case: Case) -> Iterator[Finding]:
    """Refuse to judge signatures by no trust root, or by an expired one."""
    if not needs_signers(case):
        yield allow(
            Rule.TRUST,
            "not-needed",
            f"`{case.evidence.environment}` requires no signature, evaluation or approval",
        )
    elif case.trust is None:
        yield deny(
            Rule.TRUST,
            "missing",
            f"`{case.evidence.environment}` requires `{case.rules.require}`, "
            "and there is no trust root",
            hint="make one with `lockgate trust init`, or fetch your organisation's",
        )
    elif case.now >= case.trust.expires:
        yield deny(
            Rule.TRUST,
            "expired",
            f"the trust root version {case.trust.version} expired at "
            f"{instant_text(case.trust.expires)}, it is {instant_text(case.now)}",
            hint="have the holders of root keys sign a new version: `lockgate trust renew`",
        )
    else:
        yield allow(
            Rule.TRUST,
            "in-force",
            f"the trust root version {case.trust.version} holds until "
            f"{instant_text(case.trust.expires)}",
        )


def needs_signers(case: Case) -> bool:
    """Say whether anything that the policy demands rests on a signature."""
    rules = case.rules
    return bool(
        case.signed
        or case.evidence.policy_must_be_signed
        or any(rules.attestations.values())
        or rules.evaluations
        or rules.approvals
    )
