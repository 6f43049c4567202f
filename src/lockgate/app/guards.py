"""Guards from a configuration."""

from typing import TYPE_CHECKING

from lockgate.config.guard_settings import GuardClassSettings, GuardSettings
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category
from lockgate.ports import Guard

if TYPE_CHECKING:
    from lockgate.guards.pipeline import Pipeline
    from lockgate.guards.policy import Policy


def guard_of(settings: GuardSettings) -> Guard:
    """Return the guard of tasks' inputs: only secrets are looked for unless the settings say more.

    Raises:
        InvalidConfig: the settings name a rule that does not exist.

    """
    from lockgate.guards.secrets import SecretGuard

    if all(_only_secrets(settings.of(data_class)) for data_class in DataClass):
        return SecretGuard()
    from lockgate.guards.values import ValueGuard

    return ValueGuard(pipeline_of(settings, secrets=False))


def pipeline_of(settings: GuardSettings, *, secrets: bool = True) -> "Pipeline":
    """Return the guards of the gateway. `secrets=False` leaves them to the guard of values.

    Raises:
        InvalidConfig: a rule fails one of its own examples, or the settings name one that does not
            exist, or a canary is no token.

    """
    from lockgate.guards.pipeline import Pipeline

    policies = {
        data_class: _policy(settings, settings.of(data_class), secrets=secrets)
        for data_class in DataClass
    }
    return Pipeline(policies, canaries=settings.canaries)


def _only_secrets(settings: GuardClassSettings) -> bool:
    return (settings.secrets, settings.personal, settings.injection) == (
        Action.REDACT,
        Action.OFF,
        Action.OFF,
    )


def _policy(settings: GuardSettings, chosen: GuardClassSettings, *, secrets: bool) -> "Policy":
    from lockgate.guards.policy import Policy

    given = {
        Category.SECRETS: chosen.secrets,
        Category.PERSONAL: chosen.personal,
        Category.INJECTION: chosen.injection,
    }
    made = {
        Category.SECRETS: chosen.secrets,
        Category.PERSONAL: chosen.personal,
        Category.CANARY: chosen.canary,
        Category.LINKS: chosen.links,
        Category.PROFANITY: chosen.profanity,
    }
    blocks = chosen.secrets is Action.BLOCK
    if not secrets:
        given[Category.SECRETS] = Action.BLOCK if blocks else Action.OFF
    return Policy(
        input=given,
        output=made,
        rules=settings.rules,
        on_failure=chosen.on_failure,
        allowed_hosts=settings.allowed_hosts,
        restored=frozenset({Category.PERSONAL}) if chosen.restore_personal else frozenset(),
    )
