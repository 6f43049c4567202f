"""OpenAI's endpoints, answered by the models inside this process."""

import asyncio
import base64
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec

from lockgate.app.gateway_models import EmbeddedModel
from lockgate.domain.inference import (
    Completion,
    Dispatch,
    Embed,
    Embedding,
    Generate,
    Inference,
    Message,
    Result,
)
from lockgate.errors import Corrupt, InvalidInput, LockgateError, Unavailable
from lockgate.ports import StreamingBackend
from lockgate.server.answer_schemas import check_schema
from lockgate.server.exchange import Exchange
from lockgate.server.guarding import Guarding
from lockgate.server.keeping import Kept
from lockgate.server.passing import EVENT_STREAM, break_off
from lockgate.server.replies import Usage
from lockgate.server.requests import ChatRequest, CompletionRequest, EmbeddingRequest, Part
from lockgate.server.sse import DONE, event

Asked: TypeAlias = ChatRequest | CompletionRequest | EmbeddingRequest
_encode = msgspec.json.Encoder().encode
DEFAULT_TOKENS = 256
SEED = 7
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Here:
    """One request to one model inside the process."""

    exchange: Exchange
    model: EmbeddedModel
    guarding: Guarding
    kept: Kept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Runs requests on backends inside the process: temperature 0, a fixed seed."""

    def kept(self, model: EmbeddedModel, asked: Asked, encoded: bytes, kept: Kept) -> bytes | None:
        """Return a whole answer that need not be made."""
        if isinstance(asked, EmbeddingRequest):
            if isinstance(asked.dimensions, int):
                return None  # to be refused
            vectors = kept.all_vectors(_texts(asked))
            return None if vectors is None else _vectors(model, asked, vectors, 0)
        if asked.streams:
            kept.exchange.cache = b"bypass"
            return None
        return kept.answer(encoded)

    async def answer(self, here: Here, asked: Asked) -> Usage | None:
        """Answer one request, and return what it took; None for a stream that was broken off.

        Raises:
            HttpFailure: a rule blocks the answer.
            InvalidInput: the request wants what these models do not do.
            Unavailable: the model cannot answer now.

        """
        exchange, model, guarding = here.exchange, here.model, here.guarding
        if isinstance(asked, EmbeddingRequest):
            return await self._embed(here, asked)
        if not model.generates:
            raise InvalidInput(
                f"the model `{model.name}` embeds; it cannot generate",
                hint="use `POST /v1/embeddings`",
            )
        request = _generate(asked)
        chat = isinstance(asked, ChatRequest)
        shape = _Shape(id=f"chatcmpl-{exchange.id}", model=model.name, chat=chat)
        if asked.streams:
            shape = replace(shape, usage=asked.wants_usage)
            return await self._stream(exchange, model, request, shape, guarding)
        result = await self._infer(exchange, model, request)
        assert isinstance(result, Completion), "a backend returns what was asked for"
        made = _encode(shape.whole(result))
        body = guarding.whole(made)
        if here.kept is not None and body is made:  # as with upstreams: nothing that was changed
            here.kept.keep(body)
        await exchange.respond(body)
        return _usage(result)

    async def _embed(self, here: Here, asked: EmbeddingRequest) -> Usage:
        model = here.model
        if model.generates:
            raise InvalidInput(
                f"the model `{model.name}` generates; it does not embed",
                hint="use `POST /v1/chat/completions`",
            )
        if isinstance(asked.dimensions, int):
            raise InvalidInput(f"the model `{model.name}` has vectors of one length only")
        texts = _texts(asked)
        kept = [None] * len(texts) if here.kept is None else here.kept.vectors(texts)
        known = {text: vector for text, vector in zip(texts, kept, strict=True) if vector}
        missing = tuple(dict.fromkeys(text for text in texts if text not in known)) or texts[:1]
        result = await self._infer(here.exchange, model, Embed(texts=missing))
        assert isinstance(result, Embedding), "a backend returns what was asked for"
        known.update(zip(missing, result.vectors, strict=True))
        if here.kept is not None:
            here.kept.keep_vectors(missing, result.vectors)
        tokens = result.usage.input_tokens
        await here.exchange.respond(_vectors(model, asked, [known[t] for t in texts], tokens))
        return Usage(prompt_tokens=tokens)

    async def _stream(
        self,
        exchange: Exchange,
        model: EmbeddedModel,
        request: Generate,
        shape: "_Shape",
        guarding: Guarding,
    ) -> Usage | None:
        parts: asyncio.Queue[str | None] = asyncio.Queue()
        working = asyncio.ensure_future(self._infer(exchange, model, request, parts))
        working.add_done_callback(lambda _: parts.put_nowait(None))
        try:
            first = await _next(exchange, parts)
            if first is None:
                await working  # raises what went wrong before anything was sent
            await exchange.begin(200, EVENT_STREAM)
            await exchange.part(event(_encode(shape.chunk(role=True))))
            text = first
            while text is not None:
                if clean := guarding.part(0, text, last=False):
                    await exchange.part(event(_encode(shape.chunk(clean))))
                text = await _next(exchange, parts)
            result = await working
            rest = guarding.part(0, "", last=True)
        except LockgateError as error:
            if not exchange.status:
                raise
            await break_off(exchange, error)
            return None
        finally:
            working.cancel()
            guarding.finish()
        assert isinstance(result, Completion), "a backend returns what was asked for"
        last = [event(_encode(shape.chunk(rest)))] if rest else []
        last.append(event(_encode(shape.chunk(finish=result.finish_reason))))
        if shape.usage:
            last.append(event(_encode(shape.usage_chunk(result))))
        await exchange.end(b"".join([*last, event(DONE)]))
        return _usage(result)

    async def _infer(
        self,
        exchange: Exchange,
        model: EmbeddedModel,
        request: Inference,
        parts: "asyncio.Queue[str | None] | None" = None,
    ) -> Result:
        dispatch = Dispatch(model=model.name, digest=model.digest, request=request)
        began, waited = time.perf_counter(), exchange.waited
        try:
            async with asyncio.timeout(model.most_s):
                if parts is None:
                    return await model.backend.infer(dispatch)
                if isinstance(model.backend, StreamingBackend):
                    return await model.backend.stream(dispatch, parts.put_nowait)
                result = await model.backend.infer(dispatch)
                assert isinstance(result, Completion), "a backend returns what was asked for"
                parts.put_nowait(result.text)
                return result
        except TimeoutError:
            raise Unavailable(
                f"the model `{model.name}` gave nothing in {model.most_s:g} s"
            ) from None
        except Corrupt as error:
            raise Unavailable(error.message, hint=error.hint) from error
        finally:
            # A stream has counted the time between its parts, which is not more than this.
            exchange.waited = max(exchange.waited, waited + time.perf_counter() - began)


def _texts(asked: EmbeddingRequest) -> tuple[str, ...]:
    return (asked.input,) if isinstance(asked.input, str) else tuple(asked.input)


def _vectors(
    model: EmbeddedModel, asked: EmbeddingRequest, vectors: Sequence[bytes], tokens: int
) -> bytes:
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector).decode("ascii")
            if asked.encoding_format == "base64"
            else struct.unpack(f"<{len(vector) // _FLOAT_BYTES}f", vector),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _encode({"object": "list", "data": data, "model": model.name, "usage": usage})


async def _next(exchange: Exchange, parts: "asyncio.Queue[str | None]") -> str | None:
    """Return the next part of a text. The time until then is the model's and not ours."""
    began = time.perf_counter()
    try:
        return await parts.get()
    finally:
        exchange.waited += time.perf_counter() - began


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """OpenAI's JSON around a text."""

    id: str
    model: str
    chat: bool
    usage: bool = False
    """Whether a stream ends with what it took."""

    def whole(self, result: Completion) -> dict[str, Any]:
        """Return a whole answer."""
        content: dict[str, Any] = (
            {"message": {"role": "assistant", "content": result.text}}
            if self.chat
            else {"text": result.text}
        )
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": result.finish_reason}
        kind = "chat.completion" if self.chat else "text_completion"
        return {**self._head(kind), "choices": [choice], "usage": _counts(result)}

    def chunk(self, text: str = "", *, finish: str | None = None, role: bool = False) -> Any:
        """Return a part of a stream."""
        delta: dict[str, Any] = {"role": "assistant"} if role else {}
        if text or role:
            delta["content"] = text
        content: dict[str, Any] = {"delta": delta} if self.chat else {"text": text}
        choice = {"index": 0, **content, "logprobs": None, "finish_reason": finish}
        return {**self._head(self._chunk), "choices": [choice]}

    def usage_chunk(self, result: Completion) -> Any:
        """Return the part of a stream that says what it took."""
        return {**self._head(self._chunk), "choices": [], "usage": _counts(result)}

    @property
    def _chunk(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": int(time.time()), "model": self.model}


def _generate(asked: ChatRequest | CompletionRequest) -> Generate:
    """Return what the engine's backends take; refuse what they would silently leave out."""
    if isinstance(asked.n, int) and asked.n > 1:
        raise InvalidInput("the models inside this process write one answer a request: `n` is 1")
    if asked.stop:
        raise InvalidInput("the models inside this process know no `stop`")
    seed = asked.seed if isinstance(asked.seed, int) else SEED
    limit = asked.max_tokens
    if isinstance(asked, CompletionRequest):
        if asked.suffix or asked.echo or not isinstance(asked.prompt, str):
            raise InvalidInput("the models inside this process take one `prompt`, and no more")
        messages: tuple[Message, ...] = (Message(role="user", content=asked.prompt),)
        return Generate(messages=messages, max_tokens=limit or DEFAULT_TOKENS, seed=seed)
    if asked.tools or asked.tool_choice:
        raise InvalidInput("the models inside this process call no tools")
    limit = asked.max_completion_tokens or limit
    return Generate(
        messages=tuple(_message(m.role, m.content) for m in asked.messages),
        max_tokens=limit or DEFAULT_TOKENS,
        seed=seed,
        schema=_schema(asked),
    )


def _schema(asked: ChatRequest) -> Any:
    wanted = asked.response_format
    if not isinstance(wanted, dict) or wanted.get("type") == "text":
        return None
    schema = wanted.get("json_schema")
    if wanted.get("type") == "json_schema" and isinstance(schema, dict):
        found = schema.get("schema")
        if isinstance(found, dict):
            return check_schema(found)
    if wanted.get("type") == "json_object":
        return {"type": "object"}
    raise InvalidInput(
        "the `response_format` is not one that is known here",
        hint="it is `text`, `json_object` or `json_schema`",
    )


def _message(role: str, content: object) -> Message:
    if role in {"tool", "function"}:
        raise InvalidInput(f"the models inside this process know no role `{role}`")
    name: Any = "system" if role == "developer" else role
    if isinstance(content, str):
        return Message(role=name, content=content)
    texts = []
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, Part) or not isinstance(part.text, str):
            raise InvalidInput("the models inside this process read text only")
        texts.append(part.text)
    return Message(role=name, content="\n".join(texts))


def _counts(result: Completion) -> dict[str, int]:
    given, written = result.usage.input_tokens, result.usage.output_tokens
    return {"prompt_tokens": given, "completion_tokens": written, "total_tokens": given + written}


def _usage(result: Completion) -> Usage:
    return Usage(
        prompt_tokens=result.usage.input_tokens, completion_tokens=result.usage.output_tokens
    )
