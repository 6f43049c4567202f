"""Whether the policy of an environment lets a release run: asked before each call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from lockgate.app.policies import PolicyInForce
from lockgate.config.environment import Environment
from lockgate.domain.digest import Digest, JsonObject
from lockgate.domain.gate.evidence import PinFacts, ReleaseFacts
from lockgate.domain.policy_document import Require
from lockgate.domain.release import Release
from lockgate.domain.trust import TrustRoot
from lockgate.errors import Denied


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAdmission:
    """Asks the gate what the policy of the environment says. Implements `ports.Admission`."""

    policy: PolicyInForce
    environment: str
    place: Environment
    clock: Callable[[], datetime]

    def admit(self, release: Release) -> JsonObject:
        policy = self.policy.document
        rules = policy.rules(release.task, self.environment)
        if rules is None:
            known = ", ".join(sorted(policy.environments)) or "none"
            raise Denied(
                f"the policy `{policy.name}` has no environment `{self.environment}`, "
                f"it has: {known}",
                hint="set `policy.environment` in lockgate.toml to one of them",
            )
        noted: dict[str, str] = {
            "environment": self.environment,
            "require": str(rules.require),
            "policy": str(policy.digest),
        }
        if rules.require is Require.NONE and not self.policy.must_be_signed:
            return noted
        return {**noted, "decision": str(self._ask(release, rules.require))}

    def runs_promoted(self, task: str) -> bool:
        """Say whether nothing but what was promoted may run of a task."""
        rules = self.policy.document.rules(task, self.environment)
        return rules is not None and rules.require is Require.PROMOTED

    def _ask(self, release: Release, require: Require) -> Digest:
        from lockgate.app.attesting import gather
        from lockgate.app.models import layout_of
        from lockgate.app.trust import trust_store
        from lockgate.domain.gate.admit import admit
        from lockgate.domain.gate.evidence import Evidence

        now = self.clock()
        trust: TrustRoot | None = trust_store(self.place).load(now)
        layout = layout_of(self.place)
        pins: tuple[PinFacts, ...] = ()
        if require is Require.SIGNED:
            from lockgate.oci.facts import Inspector

            inspector = Inspector(layout)
            pins = tuple(inspector.pin(pin) for pin in release.pins if pin.kind is not None)
        digest = release.digest
        artifact = self.policy.artifact
        subjects = [
            digest,
            *(pin.digest for pin in pins),
            *([] if artifact is None else [artifact]),
        ]
        attestations, refused = gather(layout, subjects, trust)
        facts = ReleaseFacts(
            digest=digest,
            document=release.document,
            task=release.task,
            version=release.version,
            intact=True,
        )
        evidence = Evidence(
            environment=self.environment,
            release=facts,
            pins=pins,
            attestations=attestations,
            refused=refused,
            policy_artifact=artifact,
            policy_must_be_signed=self.policy.must_be_signed,
        )
        decision = admit(evidence, self.policy.document, trust, now)
        if decision.allowed:
            return decision.digest
        worst = decision.refusals[0]
        raise Denied(
            f"the policy does not let it run: {worst.name}: {worst.message}",
            hint=worst.hint or "see `lockgate promote --explain`",
        )
