"""One question to the gate, with everything that its rules may look at."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from lockgate.domain.gate.decision import Finding
from lockgate.domain.gate.evidence import Evidence
from lockgate.domain.gate.testimony import Said, Testimony, hear
from lockgate.domain.policy_document import (
    BreakGlass,
    EnvironmentRules,
    PolicyDocument,
    Require,
)
from lockgate.domain.predicates.approval import Approval, Choice
from lockgate.domain.trust import Role, TrustRoot

BREAK_GLASS_MAX_AGE: Final = timedelta(hours=24)
"""An emergency is over after that: a forgotten break-glass approval must not stay a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a rule is asked about."""

    evidence: Evidence
    rules: EnvironmentRules
    """What the policy demands of this task in this environment."""
    policy: PolicyDocument
    trust: TrustRoot | None
    now: datetime
    testimony: Testimony

    @property
    def signed(self) -> bool:
        """Whether the environment demands signatures."""
        return self.rules.require is not Require.NONE

    @property
    def external(self) -> Mapping[str, str]:
        """Models that run on servers which show no bytes, by role: no artifact, only a name."""
        pins = self.evidence.release.document.get("pins")
        return {
            str(pin.get("role")): str(pin.get("name"))
            for pin in (pins if isinstance(pins, list | tuple) else ())
            if isinstance(pin, Mapping) and pin.get("external") is True
        }

    @property
    def external_allowed(self) -> tuple[str, ...]:
        """Patterns of what the policy lets run so."""
        if self.rules.external_models is not None:
            return self.rules.external_models
        return () if self.signed else ("*",)

    @property
    def what(self) -> str:
        """The release in a message."""
        return self.evidence.subjects[self.evidence.release.digest]

    def owned_by(self, holder: str) -> bool:
        """Say whether a holder is in an owning team; everybody is where no team is named."""
        teams = self.rules.owners
        return not teams or any(holder in self.policy.teams.get(team, ()) for team in teams)

    def approvals(self) -> list[Said[Approval]]:
        """Return what approvers said about this release for this environment, by digest."""
        release = self.evidence.release.digest
        return [
            said
            for said in self.testimony.about(release, Approval)
            if Role.APPROVER in said.roles
            and said.body.release == release
            and said.body.environment == self.evidence.environment
            and said.body.approver == said.holder
        ]

    def broken_glass(self, purpose: BreakGlass) -> Said[Approval] | None:
        """Return the approval that sets `purpose` aside, if the policy lets one do so."""
        if purpose not in self.rules.break_glass:
            return None
        for said in self.approvals():
            fresh = self.now - said.body.at <= BREAK_GLASS_MAX_AGE
            if said.body.choice is Choice.BREAK_GLASS and fresh and self.owned_by(said.holder):
                return said
        return None


RuleFunction: TypeAlias = Callable[[Case], Iterable[Finding]]


def open_case(
    evidence: Evidence, policy: PolicyDocument, trust: TrustRoot | None, now: datetime
) -> Case:
    """Find the rules that apply, and hear the attestations."""
    if now.tzinfo is None:
        raise ValueError(f"{now} has no time zone")
    now = now.astimezone(UTC)
    task = evidence.release.task
    rules = policy.rules(task, evidence.environment)
    return Case(
        evidence=evidence,
        # An environment that the policy does not know is refused for that; its defaults only
        # let the other rules speak too.
        rules=EnvironmentRules() if rules is None else rules,
        policy=policy,
        trust=trust,
        now=now,
        testimony=hear(evidence.attestations, evidence.subjects, task=task, trust=trust, now=now),
    )
