"""`/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`, to a model elsewhere or here.

authorise -> decode -> model -> egress -> ask -> check -> answer, noted however it ends
"""

import asyncio
import time
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from lockgate.app.gateway_desk import Desk, Order, Ticket
from lockgate.app.gateway_models import EmbeddedModel, ServedModel, ServedModels, UpstreamModel
from lockgate.app.gateway_stages import AuditSink
from lockgate.books.reader import estimated
from lockgate.domain.call import DataClass
from lockgate.domain.money import TokenCounts
from lockgate.domain.policy import authorise_egress
from lockgate.errors import InvalidInput, NotFound
from lockgate.server import passing, strict
from lockgate.server.embedded import DEFAULT_TOKENS, Embedded
from lockgate.server.exchange import Exchange
from lockgate.server.replies import Usage
from lockgate.server.requests import (
    CHAT,
    COMPLETION,
    EMBEDDING,
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    StreamOptions,
    refuse_addresses,
)

Asked: TypeAlias = ChatRequest | CompletionRequest | EmbeddingRequest
_encode = msgspec.json.Encoder().encode
_ORDER = (DataClass.PUBLIC, DataClass.INTERNAL, DataClass.CONFIDENTIAL)


@dataclass(slots=True)
class Note:
    """What the audit log and the books get to know of a call."""

    model: str = ""
    upstream: str = ""
    destination: str = ""
    usage: Usage | None = None
    text_bytes: int = 0
    """Of what was written, as far as it came: what is booked where no usage is reported."""
    nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completions:
    """Handles the inference endpoints."""

    models: ServedModels
    embedded: Embedded
    audit: AuditSink
    desk: Desk
    output_tokens: int
    default_class: DataClass
    max_body_bytes: int

    async def chat(self, exchange: Exchange) -> None:
        """Answer `POST /v1/chat/completions`."""
        body = await exchange.body(self.max_body_bytes)
        asked, encoded = strict.decode(body, CHAT)
        refuse_addresses(asked)
        await self._answer(exchange, "chat/completions", asked, encoded)

    async def complete(self, exchange: Exchange) -> None:
        """Answer `POST /v1/completions`."""
        body = await exchange.body(self.max_body_bytes)
        await self._answer(exchange, "completions", *strict.decode(body, COMPLETION))

    async def embed(self, exchange: Exchange) -> None:
        """Answer `POST /v1/embeddings`."""
        body = await exchange.body(self.max_body_bytes)
        await self._answer(exchange, "embeddings", *strict.decode(body, EMBEDDING))

    async def _answer(
        self, exchange: Exchange, endpoint: str, asked: Asked, encoded: bytes
    ) -> None:
        self.audit.refuse_if_full()
        note = Note(model=asked.model)
        ticket: Ticket | None = None
        try:
            exchange.require("model", asked.model)
            model = self.models.get(asked.model)
            if model is None:
                raise NotFound(
                    f"there is no model `{asked.model}` here", hint="see `GET /v1/models`"
                )
            exchange.release = model.release
            data_class = self._data_class(exchange)
            self.desk.refuse_if_off(model=model.name)
            order = self._order(exchange, asked, len(encoded), model)
            ticket = await self.desk.enter(exchange.caller, order)
            exchange.extra += ticket.taken.headers()
            if isinstance(model, EmbeddedModel):
                exchange.engine = b"embedded"
                note.usage = await self.embedded.answer(exchange, model, asked)
            else:
                exchange.engine = b"upstream"
                note.upstream, note.destination = model.upstream, model.destination
                authorise_egress(data_class, model.upstream, model.data_classes)
                await self._pass(exchange, endpoint, model, asked, encoded, note)
        except asyncio.CancelledError:
            if ticket is not None:
                self._settle(exchange, ticket, note, flags=frozenset({"cancelled"}))
            raise
        finally:
            if ticket is not None:
                self._settle(exchange, ticket, note)
            self._note(exchange, endpoint, note)

    def _order(self, exchange: Exchange, asked: Asked, size: int, model: ServedModel) -> Order:
        """Return what is asked for, at its most; a limit that the client left out is set."""
        route, release = exchange.route.name, model.release.decode("ascii")
        if isinstance(asked, EmbeddingRequest):
            texts = 1 if isinstance(asked.input, str) else len(asked.input)
            return Order(
                call=exchange.id,
                route=route,
                model=model.name,
                release=release,
                prompt_bytes=size,
                messages=texts,
                output_tokens=0,
                seconds=self.embedded.timeout_s,
            )
        elsewhere = isinstance(model, UpstreamModel)
        limit = asked.max_tokens
        if isinstance(asked, ChatRequest):
            limit = asked.max_completion_tokens or limit
        if not limit:
            limit = self.output_tokens if elsewhere else DEFAULT_TOKENS
            if elsewhere and self.desk.holds_money:
                # What is reserved must be the most that the call can cost.
                asked.max_tokens = limit
        return Order(
            call=exchange.id,
            route=route,
            model=model.name,
            release=release,
            prompt_bytes=size,
            messages=len(asked.messages) if isinstance(asked, ChatRequest) else 1,
            output_tokens=limit,
            choices=asked.n or 1,
            seconds=self.embedded.timeout_s,
        )

    def _settle(
        self,
        exchange: Exchange,
        ticket: Ticket,
        note: Note,
        *,
        flags: frozenset[str] = frozenset(),
    ) -> None:
        """Book what was used: as reported, or estimated from what was delivered."""
        usage = note.usage
        local = exchange.engine == b"embedded"
        took_us = int(exchange.waited * 1e6) if local else 0
        if usage is None and not note.text_bytes and not took_us:
            ticket.release()
            return
        if usage is None:
            counts = estimated(
                prompt_bytes=ticket.prompt_bytes,
                text_bytes=note.text_bytes,
                duration_us=took_us,
            )
        else:
            details = usage.prompt_tokens_details
            given = max(0, usage.prompt_tokens)
            cached = max(0, details.cached_tokens) if details is not None else 0
            counts = TokenCounts(
                input_tokens=given,
                cached_tokens=min(cached, given),
                output_tokens=max(0, usage.completion_tokens),
                duration_us=took_us,
            )
        note.nanos += ticket.settle(counts, flags=flags)

    async def _pass(
        self,
        exchange: Exchange,
        endpoint: str,
        model: UpstreamModel,
        asked: Asked,
        encoded: bytes,
        note: Note,
    ) -> None:
        streams = not isinstance(asked, EmbeddingRequest) and asked.streams
        wants_usage = not isinstance(asked, EmbeddingRequest) and asked.wants_usage
        renamed = model.served != asked.model
        if renamed:
            asked.model = model.served
        changed = renamed or self.desk.holds_money
        if streams and not wants_usage:
            # A stream that does not say what it took could not be booked.
            assert not isinstance(asked, EmbeddingRequest), "embeddings do not stream"
            asked.stream_options = StreamOptions(include_usage=True)
        if changed or (streams and not wants_usage):
            encoded = _encode(asked)
        request = model.request(endpoint, encoded)
        if streams:
            await passing.stream(exchange, model, request, note, wants_usage=wants_usage)
            return
        began = time.perf_counter()
        reply = await model.client.fetch(request)
        exchange.waited += time.perf_counter() - began
        if reply.status != 200:  # noqa: PLR2004
            raise passing.refused(model.upstream, reply)
        note.usage = passing.usage_of(model.upstream, reply.body)
        if note.usage is None:
            note.text_bytes = passing.text_bytes_of(reply.body)
        await exchange.respond(reply.body)

    def _data_class(self, exchange: Exchange) -> DataClass:
        """Return the class of the request's data: the client may raise it, never lower it."""
        wanted = exchange.headers.get(b"x-lockgate-data-class")
        if wanted is None:
            return self.default_class
        try:
            chosen = DataClass(wanted.decode("ascii"))
        except ValueError:
            raise InvalidInput(
                f"there is no data class `{wanted[:40].decode('latin-1')}`",
                hint=f"it is one of {', '.join(DataClass)}",
            ) from None
        return max(chosen, self.default_class, key=_ORDER.index)

    def _note(self, exchange: Exchange, endpoint: str, note: Note) -> None:
        caller = exchange.caller.principal.name
        usage = note.usage or Usage()
        self.audit.note(
            exchange.id,
            caller,
            f"model:{note.model}",
            {
                "endpoint": endpoint,
                "upstream": note.upstream or None,
                "destination": note.destination or None,
                "status": exchange.status,
                "usage": {
                    "input_tokens": usage.prompt_tokens,
                    "output_tokens": usage.completion_tokens,
                },
                "cost_nanos": note.nanos,
                "duration_us": int((time.perf_counter() - exchange.started) * 1e6),
            },
        )
