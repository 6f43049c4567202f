"""What a gateway takes over from the one before it when its configuration is read again.

What was counted goes on being counted: buckets, breakers, places in queues, retries and kept
answers stay where their configuration did.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lockgate.app.calls import new_id
from lockgate.app.gateway_controls import Controls, Switch, breakers, exact_cache
from lockgate.app.gateway_limits import Sharing, limits_by, rate_limits
from lockgate.app.gateway_queues import queue_of
from lockgate.config.load import Loaded
from lockgate.errors import LockgateError
from lockgate.traffic.breaker import Breaker
from lockgate.traffic.elsewhere import SharedElsewhere
from lockgate.traffic.queue import Queue
from lockgate.traffic.rate_limits import RateLimits
from lockgate.traffic.retry_budget import RetryBudget
from lockgate.upstream.cache import ExactCache
from lockgate.upstream.cork import Cork


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The gateway before: its configuration and its controls."""

    loaded: Loaded
    controls: Controls


@dataclass(frozen=True, slots=True)
class Renewal:
    """Makes the parts of a gateway's controls that remember, or finds those of the one before."""

    loaded: Loaded
    previous: Previous | None = None
    _first_cork: Cork = field(default_factory=Cork)

    def switch(self) -> Switch:
        """Return the kill switch: what is off stays off before the database has answered."""
        return Switch() if self.previous is None else self.previous.controls.switch

    def shared(self) -> SharedElsewhere:
        """Return where the shared limits are."""
        sharing = None if self.previous is None else self.previous.controls.sharing
        return SharedElsewhere() if sharing is None else sharing.shared

    def limits(self) -> RateLimits | None:
        """Return the rate limits. Those of before keep their rules until `settle`."""
        known = None if self.previous is None else self.previous.controls.limits
        settings = self.loaded.config.server.limits
        return known if known is not None and settings else rate_limits(settings)

    def sharing(
        self,
        limits: RateLimits | None,
        shared: SharedElsewhere,
        *,
        failed: Callable[[LockgateError], None],
    ) -> Sharing | None:
        """Return what keeps limits in step with other replicas."""
        if limits is None:
            return None
        if self.previous is not None and limits is self.previous.controls.limits:
            return self.previous.controls.sharing
        return Sharing(limits, shared, replica=new_id(), failed=failed)

    def breakers(self, slow_s: Mapping[str, float]) -> dict[str, Breaker]:
        """Return a breaker for each upstream, as `breakers` does."""
        found = breakers(slow_s)
        if self.previous is not None:
            kept = self.previous.controls.breakers
            found |= {name: kept[name] for name in found if name in kept and self._stays(name)}
        return found

    def queues(self, backends: Iterable[str]) -> dict[str, Queue]:
        """Return the queues in front of backends. Those that wait and run count on."""
        known = {} if self.previous is None else self.previous.controls.queues
        found: dict[str, Queue] = {}
        for name in backends:
            backend = self.loaded.config.backend(name)
            if name in known and self._stays(name):
                found[name] = known[name]
            elif backend is not None and (queue := queue_of(backend)) is not None:
                found[name] = queue
        return found

    def retries(self) -> RetryBudget:
        """Return the retry budget."""
        return RetryBudget() if self.previous is None else self.previous.controls.retries

    def cork(self) -> Cork:
        """Return what all connections write through: those of the edge outlive a gateway."""
        return self._first_cork if self.previous is None else self.previous.controls.cork

    def cache(self) -> ExactCache | None:
        """Return the cache. Its addresses hold release and request, so nothing in it is stale."""
        settings = self.loaded.config.server
        previous = self.previous
        if previous is not None and previous.loaded.config.server.cache == settings.cache:
            return previous.controls.cache
        return exact_cache(settings)

    def settle(self) -> None:
        """Let limits that were taken over follow the new rules: the new gateway is in its place."""
        known = None if self.previous is None else self.previous.controls.limits
        if known is not None and known is self.limits():
            known.reload(limits_by(self.loaded.config.server.limits))

    def _stays(self, backend: str) -> bool:
        assert self.previous is not None
        return self.previous.loaded.config.backend(backend) == self.loaded.config.backend(backend)
