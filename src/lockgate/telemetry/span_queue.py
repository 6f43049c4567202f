"""Takes ended spans off the hot path: a bounded queue, emptied by a thread."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from lockgate.telemetry.spans import Span

MOST_WAITING = 4096
BATCH = 512
"""As in OpenTelemetry's own processors: a request to a receiver takes as long as some thirty spans.
Requests do not wait for a whole batch: the interpreter changes threads in the middle of one."""
EVERY_S = 1.0


class Exporter(Protocol):
    """Sends spans away. Called on a thread of its own; may be slow, but not for ever."""

    def export(self, spans: Sequence[Span]) -> bool:
        """Send a batch; return whether it was taken. Raises nothing for a receiver's faults."""
        ...

    def close(self) -> None: ...


class SpanQueue:
    """`put` is a Tracer's sink. A span that finds no place, or no taker, is counted and gone.

    Nothing is tried twice: a receiver that is away gets what comes when it is back.
    """

    def __init__(
        self,
        exporter: Exporter,
        *,
        most_waiting: int = MOST_WAITING,
        every_s: float = EVERY_S,
        on_drop: Callable[[int], None] | None = None,
    ) -> None:
        """`on_drop` is called on the thread that calls `put`: it may count without a lock."""
        self._exporter = exporter
        self._most_waiting = most_waiting
        self._every_s = every_s
        self._on_drop = on_drop
        self._waiting: deque[Span] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._lost = 0
        self.dropped = 0
        """Spans that found no place, or that the receiver did not take."""
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, span: Span) -> None:
        """Queue a span. Never waits."""
        waiting = self._waiting
        if len(waiting) >= self._most_waiting:
            self._drop(1)
            return
        waiting.append(span)
        if len(waiting) == BATCH:
            self._wake.set()
        if self._lost:
            lost, self._lost = self._lost, 0
            self._drop(lost)

    def close(self, *, patience_s: float = 2.0) -> None:
        """Send what waits, for at most `patience_s`, and stop."""
        self._closing = True
        self._wake.set()
        self._thread.join(patience_s)
        if not self._thread.is_alive():
            self._exporter.close()

    def _drop(self, count: int) -> None:
        self.dropped += count
        if self._on_drop is not None:
            self._on_drop(count)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._every_s)
            self._wake.clear()
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not self._exporter.export(batch):
                self._lost += len(batch)
                return  # the rest waits for the next turn, and for a receiver that is back
