"""Backends of tasks behind queues, breakers and a retry budget of their own.

Tasks run on a loop beside that of the server, so what controls them is beside it too. A task that
finds no place in time goes on as if the model did not answer: with its rules, as a rule.
"""

import time
from collections.abc import Iterator, Mapping

from lockgate.app.gateway_queues import queue_of
from lockgate.config.settings import Config
from lockgate.ports import Backend
from lockgate.traffic.breaker import Breaker, BreakerSettings
from lockgate.traffic.controlled import ControlledBackend, Urgency
from lockgate.traffic.retry_budget import RetryBudget

_SLOW_S = 600.0
"""A model inside the process may take minutes on a small machine, and works."""
_PATIENCE_S = 600.0
"""A call gives an inference up by itself; this only bounds how far ahead the queue looks."""


class ControlledBackends(Mapping[str, Backend]):
    """Backends by name, each controlled from when it is first asked for. Used from one loop."""

    def __init__(self, backends: Mapping[str, Backend], config: Config) -> None:
        self._backends = backends
        self._config = config
        self._budget = RetryBudget()
        self._controlled: dict[str, Backend] = {}

    def __getitem__(self, name: str) -> Backend:
        found = self._controlled.get(name)
        if found is None:
            found = self._controlled[name] = self._control(name, self._backends[name])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._backends)

    def __len__(self) -> int:
        return len(self._backends)

    def _control(self, name: str, backend: Backend) -> Backend:
        settings = self._config.backend(name)
        queue = None if settings is None else queue_of(settings)
        if queue is None:
            return backend
        clock = queue.clock
        return ControlledBackend(
            name,
            backend,
            queue=queue,
            breaker=Breaker(BreakerSettings(slow_s=_SLOW_S), clock=time.monotonic),
            budget=self._budget,
            urgency=lambda: Urgency(deadline=clock() + _PATIENCE_S),
        )
