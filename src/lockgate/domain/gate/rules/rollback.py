"""Rule 8, backwards: an earlier release returns on its verdict of then, or by break-glass."""

from collections.abc import Iterator

from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.gate.matching import span
from lockgate.domain.gate.rules.trust_root import needs_signers
from lockgate.domain.gate.testimony import Said
from lockgate.domain.instants import instant_text
from lockgate.domain.policy_document import BreakGlass
from lockgate.domain.predicates.summary import PREDICATE_TYPE, Summary, resource_uri


def rollback(case: Case) -> Iterator[Finding]:
    """Refuse a rollback that neither a valid verdict nor a break-glass approval carries."""
    if not needs_signers(case):
        yield allow(Rule.ENVIRONMENT, "rollback", "no verdict is required here")
        return
    reasons = []
    for said in verdicts(case):
        reason = against_verdict(case, said)
        if not reason:
            yield allow(Rule.ENVIRONMENT, "rollback", _carried(said))
            return
        reasons.append(reason)
    glass = case.broken_glass(BreakGlass.ROLLBACK)
    if glass is not None:
        yield allow(
            Rule.ENVIRONMENT,
            "rollback",
            f"carried by the break-glass approval of `{glass.holder}`: {glass.body.reason}",
        )
        return
    yield deny(
        Rule.ENVIRONMENT,
        "rollback",
        f"{case.what} has no valid verdict for `{case.evidence.environment}`: {why(case, reasons)}",
        hint=f"promote it anew, or break the glass: `lockgate promote "
        f"{case.evidence.release.digest} --to {case.evidence.environment} --break-glass REASON`",
    )


def verdicts(case: Case) -> list[Said[Summary]]:
    """Return the gate's verdicts on this release, the newest first."""
    found = case.testimony.about(case.evidence.release.digest, Summary)
    return sorted(found, key=lambda said: (said.body.verified_at, said.digest), reverse=True)


def against_verdict(case: Case, said: Said[Summary]) -> str:
    """Say why a verdict does not let the release run here; empty if it does."""
    verdict, rules = said.body, case.rules
    here = resource_uri(case.evidence.release.task, case.evidence.environment)
    age = case.now - verdict.verified_at
    policies = {case.policy.digest, *case.policy.accepted_policies}
    if not verdict.passed:
        return f"the verdict of `{said.holder}` is FAILED, required: PASSED"
    if verdict.resource != here:
        return f"the verdict is for `{verdict.resource}`, needed: `{here}`"
    if verdict.policy not in policies:
        return f"the verdict is under the policy {verdict.policy}, in force: {case.policy.digest}"
    if rules.verdict_max_age is not None and age > rules.verdict_max_age:
        return f"the verdict is {span(age)} old, at most {span(rules.verdict_max_age)} allowed"
    return ""


def why(case: Case, reasons: list[str]) -> str:
    """Return the reasons for a message, those of verdicts that do not count included."""
    ignored = case.testimony.ignored(case.evidence.release.digest, PREDICATE_TYPE)
    return "; ".join([*reasons, *ignored][:3]) or "there is none"


def _carried(said: Said[Summary]) -> str:
    return (
        f"carried by the verdict of `{said.holder}` at {instant_text(said.body.verified_at)} "
        f"under the policy {said.body.policy}"
    )
