"""Where requests wait for the backends, and how urgent those of each caller may be."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from lockgate.config.gateway_settings import UrgencySettings
from lockgate.config.settings import (
    BackendSettings,
    LlamaCppBackend,
    OnnxBackend,
    OpenAIBackend,
    WaitingSettings,
)
from lockgate.traffic.concurrency import AdaptiveConcurrency, Concurrency, FixedConcurrency
from lockgate.traffic.queue import Queue, QueueSettings

_INITIAL = 64
_LEAST = 8
"""A mixture of long and short answers looks like a slow backend: it is not to be choked for it."""
_QUICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Urgencies:
    """How urgent the requests of a caller may be."""

    rows: Mapping[str, UrgencySettings] = field(default_factory=dict[str, UrgencySettings])
    usual: UrgencySettings = field(default_factory=UrgencySettings)

    def of(self, key: str, team: str) -> UrgencySettings:
        """Return the row of a key, else that of its team, else that of everyone."""
        rows = self.rows
        if not rows:
            return self.usual
        found = rows.get(f"key:{key}") or rows.get(f"team:{team}")
        return found or rows.get("key:*") or rows.get("team:*") or self.usual


def queue_of(backend: BackendSettings) -> Queue | None:
    """Return the queue in front of a backend; None if the gateway serves no model of its kind."""
    match backend:
        case OpenAIBackend():
            return _queue(backend.queue, _upstream(backend))
        case LlamaCppBackend():
            return _queue(backend.queue, FixedConcurrency(1))  # it has one worker thread
        case OnnxBackend():
            return _queue(backend.queue, FixedConcurrency(backend.workers))
        case _:
            return None


def _upstream(backend: OpenAIBackend) -> Concurrency:
    most = backend.limits.connections
    if backend.limits.concurrency is not None:
        return FixedConcurrency(min(backend.limits.concurrency, most))
    least = min(_LEAST, most)
    return AdaptiveConcurrency(
        initial=min(_INITIAL, most), least=least, most=most, quick_s=_QUICK_S
    )


def _queue(settings: WaitingSettings, concurrency: Concurrency) -> Queue:
    chosen = QueueSettings(
        most_tokens=settings.tokens,
        most_waiting=settings.requests,
        batch_share=settings.batch_share,
    )
    return Queue(concurrency, chosen, clock=time.perf_counter)  # that of `Exchange.started`
