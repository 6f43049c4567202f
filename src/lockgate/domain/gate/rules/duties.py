"""Rule 5: enough people of the right teams approve, and none of them built or evaluated it."""

from collections.abc import Iterator, Mapping

from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.gate.matching import listed, span
from lockgate.domain.gate.testimony import Said
from lockgate.domain.instants import instant_text
from lockgate.domain.predicates.approval import PREDICATE_TYPE, Approval, Choice
from lockgate.domain.predicates.evaluation import Evaluation
from lockgate.domain.predicates.provenance import Provenance
from lockgate.domain.trust import Role


def duties(case: Case) -> Iterator[Finding]:
    """Refuse a release with too few independent approvals."""
    needed = case.rules.approvals
    if needed == 0:
        yield allow(Rule.DUTIES, "not-needed", "no approval is required")
        return
    latest = _latest(case)
    against = {name: _reason_against(case, said) for name, said in latest.items()}
    counted = sorted(name for name, reason in against.items() if not reason)
    if len(counted) >= needed:
        yield allow(
            Rule.DUTIES, "approvals", f"{needed} approvals required, given by {listed(counted)}"
        )
        return
    reasons = [reason for _, reason in sorted(against.items()) if reason]
    reasons += case.testimony.ignored(case.evidence.release.digest, PREDICATE_TYPE)[:3]
    reasons += _elsewhere(case)[:3]
    tail = f"; not counted: {'; '.join(reasons)}" if reasons else ""
    teams = f" of {listed(case.rules.owners)}" if case.rules.owners else ""
    yield deny(
        Rule.DUTIES,
        "approvals",
        f"{case.what} has {len(counted)} of the {needed} approvals required for "
        f"`{case.evidence.environment}`, by: {listed(counted)}{tail}",
        hint=f"ask an approver{teams} who neither built nor evaluated it: "
        f"`lockgate release approve {case.evidence.release.digest} "
        f"--to {case.evidence.environment} --sign KEY`",
    )


def veto(case: Case) -> Iterator[Finding]:
    """Refuse a release that an approver rejected and did not approve since."""
    for name, said in sorted(_latest(case).items()):
        if said.body.choice is Choice.REJECTED:
            yield deny(
                Rule.DUTIES,
                "veto",
                f"`{name}` rejected {case.what} for `{case.evidence.environment}` at "
                f"{instant_text(said.body.at)}: {said.body.reason or 'no reason given'}",
                hint=f"settle it with `{name}`, who can approve it afterwards",
            )


def _latest(case: Case) -> Mapping[str, Said[Approval]]:
    """Return each holder's last word; of two at once, the rejection."""
    found: dict[str, Said[Approval]] = {}
    for said in case.approvals():
        if said.body.choice is Choice.BREAK_GLASS:
            continue
        known = found.get(said.holder)
        if known is None or _order(said) > _order(known):
            found[said.holder] = said
    return found


def _order(said: Said[Approval]) -> tuple[object, bool, object]:
    return said.body.at, said.body.choice is Choice.REJECTED, said.digest


def _reason_against(case: Case, said: Said[Approval]) -> str:
    """Say why an approval does not count; empty if it does."""
    holder, age = said.holder, case.now - said.body.at
    oldest = case.rules.approval_max_age
    if said.body.choice is Choice.REJECTED:
        return f"`{holder}` rejected it"
    if holder in _holders(case, Provenance):
        return f"`{holder}` built it or what it pins"
    if holder in _holders(case, Evaluation):
        return f"`{holder}` evaluated it"
    if oldest is not None and age > oldest:
        return f"the approval of `{holder}` is {span(age)} old, at most {span(oldest)} allowed"
    if not case.owned_by(holder):
        return f"`{holder}` is in none of the owning teams {listed(case.rules.owners)}"
    return ""


def _holders(case: Case, kind: type[Provenance | Evaluation]) -> frozenset[str]:
    """Return who signed predicates of a type about the release or its pins."""
    evidence = case.evidence
    parts = {evidence.release.digest, *(pin.digest for pin in evidence.pins)}
    return frozenset(
        said.holder for subject in parts for said in case.testimony.about(subject, kind)
    )


def _elsewhere(case: Case) -> list[str]:
    """Return why approvals by approvers are not about this release and environment."""
    counted = {said.digest for said in case.approvals()}
    release, environment = case.evidence.release.digest, case.evidence.environment
    found = []
    for said in case.testimony.about(release, Approval):
        if said.digest in counted:
            continue
        if Role.APPROVER not in said.roles:
            found.append(f"`{said.holder}` has the role `policy-owner`, needed: approver")
        elif said.body.release != release:
            found.append(f"`{said.holder}` approved {said.body.release}, this is {release}")
        elif said.body.environment != environment:
            found.append(
                f"`{said.holder}` approved it for `{said.body.environment}`, "
                f"this is `{environment}`"
            )
        elif said.body.approver != said.holder:
            found.append(
                f"`{said.holder}` signed an approval in the name of `{said.body.approver}`"
            )
    return found
