"""What the audit log and the books get to know of a call of a model."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from lockgate.app.gateway_models import EmbeddedModel, ServedModel
from lockgate.domain.call import DataClass
from lockgate.domain.money import TokenCounts
from lockgate.errors import LockgateError
from lockgate.server.answer_checks import Checker
from lockgate.server.exchange import Exchange
from lockgate.server.guarding import Guarding
from lockgate.server.holding import Held
from lockgate.server.measuring import BYTES_PER_TOKEN, counts_of
from lockgate.server.queueing import Urgency
from lockgate.server.replies import Usage
from lockgate.telemetry.spans import NO_SPAN, Span


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
    unpaid: bool = False
    """It did no work."""
    measured: bool = False
    """What it wrote is known."""
    usage: Usage | None = None
    written: int = 0
    """Bytes of text that came, for an upstream that says nothing of usage."""
    most: int = 0
    """Tokens that may be written."""
    chain: Sequence[ServedModel] = ()
    """Those that may be asked from here on."""
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
        """Note that a model is asked now."""
        self.asked, self.usage, self.written = model, None, 0
        self.unpaid = self.measured = False
        self.began, self.waited = time.perf_counter(), exchange.waited

    @property
    def payee(self) -> ServedModel | None:
        """The model that is paid for what it has done; None: none has done anything.

        One that answered is paid, whoever gets that. So is one of which nobody knows how far it
        came.
        """
        if self.unpaid and self.usage is None and not self.written:
            return None
        return self.asked

    def forget(self) -> None:
        """Forget the model that was asked: what it took is booked."""
        self.asked, self.usage, self.written = None, None, 0
        self.unpaid = self.measured = False

    def counts(self, exchange: Exchange) -> TokenCounts:
        """Return what the call took."""
        model = self.payee
        if model is None:
            return TokenCounts()
        if isinstance(model, EmbeddedModel) and self.ended:
            seconds = exchange.waited - self.waited  # not the time of a client that reads slowly
        else:
            seconds = min(time.perf_counter() - self.began, model.most_s)
        known = self.measured or self.written or exchange.status
        written = self.written
        if not self.measured and not exchange.status:
            # Of what could not be read only the bytes are known: no text is longer than it may be.
            written = min(written, self.most * BYTES_PER_TOKEN)
        return counts_of(
            self.usage,
            sent=self.sent,
            written=written if known or isinstance(model, EmbeddedModel) else None,
            duration_us=int(seconds * 1e6),
            most=self.most,
        )
