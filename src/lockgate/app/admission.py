"""What says whether a release may run here. Most machines have no policy, and start quickly."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.digest import JsonObject
from lockgate.domain.release import Release
from lockgate.ports import Admission


@dataclass(frozen=True, slots=True)
class OpenAdmission:
    """Admits everything: this machine has no policy. Implements `ports.Admission`."""

    environment: str

    def admit(self, release: Release) -> JsonObject:
        return {"environment": self.environment, "require": "none", "policy": "embedded"}


def admission_of(
    loaded: Loaded, environment: Environment, clock: Callable[[], datetime]
) -> Admission:
    """Return what decides here.

    Raises:
        InvalidConfig: the policy has problems; every one is listed.
        NotFound, Corrupt: the policy is an artifact that is not here, or damaged.

    """
    chosen = loaded.config.policy
    if chosen.file is None and chosen.artifact is None and not chosen.signed:
        return OpenAdmission(chosen.environment)
    from lockgate.app.policies import policy_in_force
    from lockgate.app.policy_admission import PolicyAdmission

    return PolicyAdmission(
        policy=policy_in_force(loaded, environment),
        environment=chosen.environment,
        place=environment,
        clock=clock,
    )
