"""The end of a call of a model: what was held is given back, and the call is counted and noted."""

import time
from dataclasses import dataclass

from lockgate.app.gateway_meter import GatewayMeter
from lockgate.app.gateway_models import ServedModels
from lockgate.app.gateway_stages import AuditSink
from lockgate.domain.digest import Json
from lockgate.errors import RequestRefused, Unavailable
from lockgate.server import tracing
from lockgate.server.exchange import Exchange
from lockgate.server.failures import code_of, failure
from lockgate.server.holding import Held, hold_on
from lockgate.server.note import Note
from lockgate.server.replies import Usage

_OK = 200
_REFUSALS = frozenset({"guard-blocked", "denied", "turned-off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Closes calls, however they end."""

    models: ServedModels
    audit: AuditSink
    meter: GatewayMeter

    async def lose(self, exchange: Exchange, note: Note) -> None:
        """Book what nobody gets, and reserve anew: somebody is to be asked again.

        Raises as `hold`.
        """
        if note.payee is None:
            return
        held = self._lost(exchange, note)
        await hold_on(held, exchange, note.chain, (note.sent, note.most))

    def _lost(self, exchange: Exchange, note: Note) -> Held:
        held, model = note.held, note.payee
        assert held is not None, "held before anything is asked"
        assert model is not None, "somebody has done something"
        nanos = held.lose(note.counts(exchange), answered=model)
        release = model.release.decode("ascii")
        self.meter.inferred(model.name, release, "", _tokens(note.usage or Usage()), nanos)
        note.forget()
        return held

    def close(self, exchange: Exchange, note: Note) -> None:
        """Give back what was held, and note the call."""
        if note.guarding is not None:
            tracing.found(exchange, note.guarding.findings)
        if note.held is not None:
            note.held.settle(note.counts(exchange), answered=note.payee, cancelled=not note.ended)
        if exchange.first_s:
            self.meter.first_chunk(exchange.route.name, exchange.first_s)
        usage = note.usage or Usage()
        held = note.held
        nanos = 0 if held is None else held.nanos
        outcome = _outcome(exchange, note)
        if outcome:
            self.meter.inferred(
                note.model if note.asked is None else note.asked.name,
                exchange.release.decode("ascii"),
                outcome,
                _tokens(usage),
                nanos,
            )
        if held is not None:
            nanos += held.lost_nanos
        if nanos:
            self.meter.spent(exchange.caller.team, nanos)
        if note.passed_over and exchange.status == _OK:
            self.meter.fell_back(note.model)
        if not self.audit.records:
            return
        detail: dict[str, Json] = {
            "endpoint": note.endpoint,
            "upstream": note.upstream or None,
            "destination": note.destination or None,
            "passed_over": note.passed_over,
            "data_class": str(note.data_class),
            "release": exchange.release.decode("ascii"),
            "cache": exchange.cache.decode("ascii"),
            "status": _status(exchange, note),
            "usage": {
                "input_tokens": usage.prompt_tokens,
                "output_tokens": usage.completion_tokens,
            },
            "findings": dict(note.guarding.findings) if note.guarding is not None else {},
            "cost_nanos": nanos,
            "duration_us": int((time.perf_counter() - exchange.started) * 1e6),
        }
        code = exchange.code if note.error is None else code_of(note.error)
        if code:
            detail["error"] = code
        # What is no model's name is the client's text, and not for the log.
        subject = f"model:{note.model if note.model in self.models else 'unknown'}"
        self.audit.note(exchange.id, exchange.caller.principal.name, subject, detail)


def _status(exchange: Exchange, note: Note) -> int:
    """Return the status that the client gets; 0 if it went away before there was one."""
    if exchange.status or note.error is None:
        return exchange.status
    return failure(note.error).status


def _tokens(usage: Usage) -> tuple[int, int]:
    return max(0, usage.prompt_tokens), max(0, usage.completion_tokens)


def _outcome(exchange: Exchange, note: Note) -> str:
    """Return how it ended for the model; empty if it says nothing of the model."""
    if note.left:
        return "cancelled"
    error = note.error
    if error is None:
        return "failed" if exchange.code else "degraded" if note.passed_over else "ok"
    if exchange.release == b"none" or isinstance(error, RequestRefused):
        return ""
    if code_of(error) in _REFUSALS:
        return "refused"
    return "failed" if note.asked is not None or isinstance(error, Unavailable) else ""
