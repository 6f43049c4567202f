"""The admin API: keys, budgets, usage, the kill switch, releases, and what is only read.

Nothing here waits for the database on the serving loop: see `app.gateway_admin`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lockgate.app.gateway import Gateway
from lockgate.server.admin_keys import KeyAdmin
from lockgate.server.admin_operation import OperationAdmin
from lockgate.server.admin_releases import ReleaseAdmin
from lockgate.server.admin_spending import SpendingAdmin
from lockgate.server.route import Route
from lockgate.traffic.kill_switch import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """The handlers."""

    keys: KeyAdmin
    spending: SpendingAdmin
    operation: OperationAdmin
    releases: ReleaseAdmin


def admin_of(gateway: Gateway, routes: Callable[[], Sequence[Route]]) -> Admin:
    """Return the handlers of a gateway, whose whole route table `routes` returns."""
    bridge = gateway.admin
    return Admin(
        keys=KeyAdmin(bridge=bridge, clock=_now, configured=gateway.settings.keys.keys()),
        spending=SpendingAdmin(bridge=bridge, clock=_now, has_prices=gateway.has_prices),
        operation=OperationAdmin(
            bridge=bridge,
            clock=_now,
            routes=routes,
            names={Scope.TASK: gateway.tasks, Scope.MODEL: gateway.models},
        ),
        releases=ReleaseAdmin(move=gateway.move, clock=_now),
    )


def _now() -> datetime:
    return datetime.now(UTC)
