"""Who there is to spend: the accounts that calls can be charged to."""

from lockgate.app.identity import list_keys
from lockgate.app.tasks import task_names
from lockgate.config.load import Loaded
from lockgate.ports import GatewayState

_LOCAL = "local"
"""The key and the team of whoever calls a gateway without keys."""


async def can_spend(loaded: Loaded, state: GatewayState, account: str) -> bool:
    """Say whether anything here would be charged to an account now; others may be in time."""
    kind, _, name = account.partition(":")
    if kind == "task":
        return name in task_names(loaded)
    issuers = loaded.config.identity.issuers
    configured = loaded.config.server.keys
    keys = [key for key in await list_keys(state) if key.revoked_at is None]
    if kind == "key":
        # Those of jobs are named by their issuer's tokens.
        return bool(issuers) or name == _LOCAL or name in configured or name in {k.id for k in keys}
    teams = {key.team for key in keys} | {key.team for key in configured.values()} | {_LOCAL}
    return name in teams | {rule.team for issuer in issuers for rule in issuer.rules}
