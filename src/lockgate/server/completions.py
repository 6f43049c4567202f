"""`/v1/chat/completions`, `/v1/completions` and `/v1/embeddings`, to a model elsewhere or here.

    decode -> scope -> model -> hold (limits, budget) -> egress -> cache -> queue -> ask -> check
    -> answer

What was held is given back, and the call is noted, however it ends.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
from msgspec import UNSET

from lockgate.app.gateway_controls import Controls
from lockgate.app.gateway_meter import GatewayMeter
from lockgate.app.gateway_models import EmbeddedModel, ServedModel, ServedModels, UpstreamModel
from lockgate.domain.call import DataClass
from lockgate.domain.policy import authorise_egress
from lockgate.errors import (
    Denied,
    InvalidInput,
    LockgateError,
    NotFound,
    Unavailable,
)
from lockgate.server import passing, strict, tracing
from lockgate.server.answer_checks import AnswerSchemas, check_answer
from lockgate.server.asking import Asking
from lockgate.server.closing import Closing
from lockgate.server.embedded import Embedded, Here
from lockgate.server.exchange import Exchange
from lockgate.server.failures import code_of, costs_nothing, why_of
from lockgate.server.guarding import LONG_BYTES, Guarding
from lockgate.server.holding import hold, still_on, with_prices
from lockgate.server.keeping import NO_STORE, Kept, directives
from lockgate.server.note import Note
from lockgate.server.queueing import Place, Urgency, cost_of
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
from lockgate.server.second_pass import SecondPass
from lockgate.server.streamed_answers import StreamedAnswers
from lockgate.telemetry import conventions
from lockgate.telemetry.spans import Span
from lockgate.upstream.request import Request

Asked: TypeAlias = ChatRequest | CompletionRequest | EmbeddingRequest
_encode = msgspec.json.Encoder().encode
_OK = 200
_MOST_TOKENS = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Completions:
    """Handles the inference endpoints."""

    models: ServedModels
    fallbacks: Mapping[str, Sequence[str]]
    embedded: Embedded
    closing: Closing
    controls: Controls
    meter: GatewayMeter
    asking: Asking
    default_class: DataClass
    max_body_bytes: int
    max_output_tokens: int
    caps_answers: bool
    second_pass: SecondPass | None = None
    schemas: AnswerSchemas = field(default_factory=AnswerSchemas)

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
        self.closing.audit.refuse_if_full()
        note = Note(asked.model, endpoint, exchange.data_class(self.default_class))
        note.guarding = Guarding(self.controls, self.meter, note.data_class)
        try:
            named = self._chain(exchange, asked.model)
            chain = still_on(self.controls, named)
            if chain is not named:
                left = {model.name for model in chain}
                note.passed_over = [f"{m.name}: turned-off" for m in named if m.name not in left]
            priced = with_prices(self.controls, chain)
            if len(priced) < len(chain):
                left = {model.name for model in priced}
                note.passed_over += [f"{m.name}: no-price" for m in chain if m.name not in left]
                chain = priced
            exchange.release = chain[0].release
            with tracing.part(exchange, conventions.GUARD_INPUT):
                long = len(encoded) > LONG_BYTES
                if await note.guarding.clean_long(asked) if long else note.guarding.clean(asked):
                    encoded = _encode(asked)
            note.urgency = Urgency(self.controls, exchange, self._cost(asked, len(encoded)))
            note.most = self._ceiling(asked)
            note.held = await hold(
                self.controls, exchange, chain, sent=len(encoded), output_tokens=note.most
            )
            # Only now: whoever is over a limit gets no inference of the second pass either.
            if await self._review(exchange, asked, note.guarding):
                encoded = _encode(asked)
            await self._try(exchange, chain, asked, encoded, note)
        except LockgateError as error:
            note.error = error
            raise
        except asyncio.CancelledError:
            note.left = True
            raise
        finally:
            self.closing.close(exchange, note)

    async def _review(self, exchange: Exchange, asked: Asked, guarding: Guarding) -> bool:
        if self.second_pass is None:
            return False
        with tracing.part(exchange, conventions.GUARD_INPUT):
            return await self.second_pass.review(exchange, asked, guarding)

    def _chain(self, exchange: Exchange, name: str) -> list[ServedModel]:
        """Return the model, and those that take its place where it cannot answer."""
        exchange.require("model", name)
        model = self.models.get(name)
        if model is None:
            raise NotFound(f"there is no model `{name}` here", hint="see `GET /v1/models`")
        if name not in self.fallbacks:
            return [model]
        others = (self.models.get(other) for other in self.fallbacks[name])
        return [
            model,
            *(o for o in others if o is not None and exchange.caller.may("model", o.name)),
        ]

    async def _try(
        self,
        exchange: Exchange,
        chain: Sequence[ServedModel],
        asked: Asked,
        encoded: bytes,
        note: Note,
    ) -> None:
        """Ask the models in turn, until one has answered or begun to."""
        note.chain = chain
        for place, model in enumerate(chain):
            exchange.release = model.release
            try:
                await self._ask(exchange, model, asked, encoded, note)
            except LockgateError as error:
                self._failed(model, why_of(error))
                note.unpaid = note.unpaid or costs_nothing(error)
                if not _falls_back(error) or exchange.status or model is chain[-1]:
                    raise
                note.passed_over.append(f"{model.name}: {code_of(error)}")
                note.chain = chain[place + 1 :]
                await self.closing.lose(exchange, note)
                continue
            note.ended = not exchange.code
            self._failed(model, exchange.why)
            return

    def _failed(self, model: ServedModel, why: str) -> None:
        if why:
            self.meter.failed(model.name, model.release.decode("ascii"), why)

    async def _ask(
        self,
        exchange: Exchange,
        model: ServedModel,
        asked: Asked,
        encoded: bytes,
        note: Note,
    ) -> None:
        if isinstance(model, EmbeddedModel):
            exchange.engine = b"embedded"
            with tracing.inference(exchange, model, note.endpoint, note.data_class) as span:
                tracing.wanted(span, asked)
                await self._embedded(exchange, model, asked, encoded, note)
                _count(span, exchange, note)
            return
        exchange.engine = b"upstream"
        note.upstream, note.destination = model.upstream, model.destination
        authorise_egress(note.data_class, model.upstream, model.data_classes)
        streams = not isinstance(asked, EmbeddingRequest) and asked.streams
        wants_usage = not isinstance(asked, EmbeddingRequest) and asked.wants_usage
        request, note.sent = self._request(model, asked, encoded, note.endpoint)
        if isinstance(asked, ChatRequest) and asked.response_format is not UNSET:
            note.schema = self.schemas.of(asked)
        note.span = span = tracing.inference(exchange, model, note.endpoint, note.data_class)
        with span:
            tracing.wanted(span, asked)
            if exchange.trace is not None:
                tracing.content(span, conventions.INPUT_MESSAGES, request.body)
                request = tracing.carried(exchange, request, span)
            if streams:
                await self._stream(exchange, model, request, note, wants_usage=wants_usage)
            else:
                body = await self._whole(exchange, model, request, note)
                tracing.content(span, conventions.OUTPUT_MESSAGES, body)
            _count(span, exchange, note)

    async def _embedded(
        self, exchange: Exchange, model: EmbeddedModel, asked: Asked, encoded: bytes, note: Note
    ) -> None:
        assert note.guarding is not None, "made with the note"
        kept = self._kept(exchange, model, note)
        found = None if kept is None else self.embedded.kept(model, asked, encoded, kept)
        if found is not None:
            await exchange.respond(note.guarding.whole(found))
            return
        async with self._place(exchange, model, note):
            note.ask(exchange, model)
            note.sent = len(encoded)
            here = Here(exchange, model, note.guarding, kept)
            try:
                note.usage = await self.embedded.answer(here, asked)
            except InvalidInput:
                note.asked = None  # refused before the model saw it
                raise

    async def _whole(
        self, exchange: Exchange, model: UpstreamModel, request: Request, note: Note
    ) -> bytes:
        kept = self._kept(exchange, model, note)
        assert note.guarding is not None, "made with the note"
        found = None if kept is None else kept.answer(request.body)
        if found is not None:
            body = note.guarding.whole(found)
            await exchange.respond(body)
            return body
        async with self._place(exchange, model, note):
            reply = await self.asking.fetch(exchange, model, request, note)
            if reply.status != _OK:
                raise passing.refused(model.upstream, reply)
        tracing.said(note.span, reply.body)
        passing.read_usage(model.upstream, reply.body, note)
        if note.schema is not None:
            check_answer(note.schema, model.upstream, reply.body)
        with tracing.part(exchange, conventions.GUARD_OUTPUT):
            body = note.guarding.whole(reply.body)
        if kept is not None and body is reply.body:
            # What the guards have changed is not kept: neither what was there, nor what a
            # placeholder stands for in this one call.
            kept.keep(body)
        await exchange.respond(body)
        return body

    def _kept(self, exchange: Exchange, model: ServedModel, note: Note) -> Kept | None:
        cache = self.controls.cache
        if cache is None:
            return None
        if NO_STORE in directives(exchange):
            exchange.cache = b"bypass"
            self.meter.looked_up("bypass")
            return None
        return Kept(cache, self.meter, exchange, model, note.endpoint)

    async def _stream(
        self,
        exchange: Exchange,
        model: UpstreamModel,
        request: Request,
        note: Note,
        *,
        wants_usage: bool,
    ) -> None:
        exchange.cache = b"bypass" if self.controls.cache is not None else b"none"
        async with self._place(exchange, model, note):
            source = await self.asking.open(exchange, model, request, note)
            try:
                assert note.guarding is not None, "made with the note"
                relay = passing.Relay(exchange, model.upstream, note, note.guarding, wants_usage)
                relay.span = note.span
                if note.schema is not None:
                    relay.answers = StreamedAnswers(note.schema, model.upstream)
                await relay.run(source)
            finally:
                source.close()

    def _place(self, exchange: Exchange, model: ServedModel, note: Note) -> Place:
        assert note.urgency is not None, "read before anything is asked"
        return Place(self.controls, self.meter, exchange, model.backend_name, note.urgency)

    def _request(
        self, model: UpstreamModel, asked: Asked, encoded: bytes, endpoint: str
    ) -> tuple[Request, int]:
        """Return the request as the upstream gets it, and its size."""
        changes: dict[str, object] = {}
        if model.served != asked.model:
            changes["model"] = model.served
        if not isinstance(asked, EmbeddingRequest):
            if asked.streams and not asked.wants_usage:
                # A stream that does not say what it took could not be booked.
                changes["stream_options"] = StreamOptions(include_usage=True)
            if self.caps_answers and not _limit(asked):
                # What is reserved for an answer is also the most that it may be.
                changes["max_tokens"] = self.max_output_tokens
        if changes:
            encoded = _encode(msgspec.structs.replace(asked, **changes))
        return model.request(endpoint, encoded), len(encoded)

    def _ceiling(self, asked: Asked) -> int:
        """Return the most tokens that may be written for a request.

        Raises:
            InvalidInput: they are more than the books count for one call.

        """
        if isinstance(asked, EmbeddingRequest):
            return 0
        most = (_limit(asked) or self.max_output_tokens) * asked.answers
        if most > _MOST_TOKENS:
            raise InvalidInput(
                f"the request may write `{most}` tokens, the most is `{_MOST_TOKENS}`",
                hint="ask for fewer tokens, answers or prompts",
            )
        return most

    def _cost(self, asked: Asked, sent: int) -> int:
        """Return about how many tokens the queue has to count."""
        if isinstance(asked, EmbeddingRequest):
            return cost_of(sent, 0, 0)
        return cost_of(sent, _limit(asked), asked.answers)


def _falls_back(error: LockgateError) -> bool:
    """Say whether another model may answer: the request is not what is wrong."""
    return isinstance(error, Unavailable | Denied) or code_of(error) == "upstream-busy"


def _count(span: Span, exchange: Exchange, note: Note) -> None:
    if exchange.code:
        span.fail(exchange.code)  # a stream that broke off
    if exchange.first_s:
        span.set(conventions.FIRST_CHUNK, exchange.started + exchange.first_s - note.began)
    usage = note.usage
    if usage is not None:
        span.set(conventions.INPUT_TOKENS, usage.prompt_tokens)
        span.set(conventions.OUTPUT_TOKENS, usage.completion_tokens)


def _limit(asked: ChatRequest | CompletionRequest) -> int:
    """Return the most tokens that the client wants of an answer; 0 if it does not say.

    Of two limits the larger one counts: which of them a server knows is its own affair.
    """
    named = asked.max_tokens if isinstance(asked.max_tokens, int) else 0
    if isinstance(asked, ChatRequest) and isinstance(asked.max_completion_tokens, int):
        return max(named, asked.max_completion_tokens)
    return named
