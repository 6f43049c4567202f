"""What the audit log and the books get to know of a call of a model."""

import time
from dataclasses import dataclass, field

from lockgate.app.gateway_models import EmbeddedModel, ServedModel
from lockgate.domain.call import DataClass
from lockgate.domain.money import TokenCounts
from lockgate.errors import LockgateError
from lockgate.server.answer_checks import Checker
from lockgate.server.exchange import Exchange
from lockgate.server.guarding import Guarding
from lockgate.server.holding import Held
from lockgate.server.measuring import counts_of
from lockgate.server.queueing import Urgency
from lockgate.server.replies import Usage
from lockgate.telemetry.spans import NO_SPAN, Span

_IDLE = frozenset({"circuit-open", "connect", "status"})
"""Failures for which nobody sends a bill."""


@dataclass(slots=True)
class Note:
    """Mutable, and private to one call."""

    model: str
    endpoint: str
    data_class: DataClass
    upstream: str = ""
    destination: str = ""
    sent: int = 0
    asked: ServedModel | None = None
    """The upstream or the model that was asked last."""
    began: float = 0.0
    """When it was, and what of the time since was not ours."""
    waited: float = 0.0
    ended: bool = False
    """Whether the answer came to its end."""
    answered: bool = False
    """It came whole, whatever it was worth."""
    idle: bool = False
    """The model that was asked last did nothing: it was not reached, or has refused."""
    usage: Usage | None = None
    written: int = 0
    """Bytes of text that came, for an upstream that says nothing of usage."""
    held: Held | None = None
    guarding: Guarding | None = None
    urgency: Urgency | None = None
    schema: Checker | None = None
    """What the client wants the answer to match."""
    error: LockgateError | None = None
    """What the client gets instead of an answer."""
    left: bool = False
    """The client went away."""
    span: Span = NO_SPAN
    """Of the inference."""
    passed_over: list[str] = field(default_factory=list)

    def ask(self, exchange: Exchange, model: ServedModel) -> None:
        """Note that a model is asked now. What one that failed before it had begun is forgotten."""
        self.asked, self.usage, self.written, self.idle = model, None, 0, False
        self.began, self.waited = time.perf_counter(), exchange.waited

    def failed(self, why: str) -> None:
        """Note how what was asked last has failed."""
        if why in _IDLE and not self.has_answer:
            self.idle = True

    @property
    def charged(self) -> ServedModel | None:
        """Whom the call is paid to; None: nobody did anything for it."""
        return None if self.idle else self.asked

    @property
    def has_answer(self) -> bool:
        """Whether the model that was asked last has answered: it is paid, whoever gets that."""
        came = self.answered or self.usage is not None or self.written > 0
        return came and self.asked is not None

    def forget(self) -> None:
        """Forget the model that was asked: what it took is booked."""
        self.asked, self.usage, self.written, self.answered = None, None, 0, False

    def counts(self, exchange: Exchange) -> TokenCounts:
        """Return what the call took."""
        model = self.asked
        if model is None:
            return TokenCounts()
        if isinstance(model, EmbeddedModel) and self.ended:
            seconds = exchange.waited - self.waited  # not the time of a client that reads slowly
        else:
            seconds = min(time.perf_counter() - self.began, model.most_s)
        return counts_of(
            self.usage, sent=self.sent, written=self.written, duration_us=int(seconds * 1e6)
        )
