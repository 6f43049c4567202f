"""`/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`, to a model elsewhere or here.

authorise -> decode -> model -> egress -> ask -> check -> answer, noted however it ends
"""

import time
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from lockgate.app.gateway_models import EmbeddedModel, ServedModels, UpstreamModel
from lockgate.app.gateway_stages import AuditSink
from lockgate.domain.call import DataClass
from lockgate.domain.policy import authorise_egress
from lockgate.errors import InvalidInput, NotFound
from lockgate.server import passing, strict
from lockgate.server.embedded import Embedded
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Completions:
    """Handles the inference endpoints."""

    models: ServedModels
    embedded: Embedded
    audit: AuditSink
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
        try:
            exchange.require("model", asked.model)
            model = self.models.get(asked.model)
            if model is None:
                raise NotFound(
                    f"there is no model `{asked.model}` here", hint="see `GET /v1/models`"
                )
            exchange.release = model.release
            data_class = self._data_class(exchange)
            if isinstance(model, EmbeddedModel):
                exchange.engine = b"embedded"
                note.usage = await self.embedded.answer(exchange, model, asked)
            else:
                exchange.engine = b"upstream"
                note.upstream, note.destination = model.upstream, model.destination
                authorise_egress(data_class, model.upstream, model.data_classes)
                await self._pass(exchange, endpoint, model, asked, encoded, note)
        finally:
            self._note(exchange, endpoint, note)

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
        if streams and not wants_usage:
            # A stream that does not say what it took could not be booked.
            assert not isinstance(asked, EmbeddingRequest), "embeddings do not stream"
            asked.stream_options = StreamOptions(include_usage=True)
        if renamed or (streams and not wants_usage):
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
                "duration_us": int((time.perf_counter() - exchange.started) * 1e6),
            },
        )
