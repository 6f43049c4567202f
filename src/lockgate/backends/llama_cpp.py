"""GGUF models inside the process, through `xllamacpp`.

The same call gives the same bytes: temperature 0, a fixed seed, a fixed number of threads, one
sequence at a time, and no prompt cache, since reuse would change the shapes of later batches and
with them the last bits. `xllamacpp` always listens on a free loopback port; a random key, known to
nobody, closes it.

One thread by default: llama.cpp's threads wait for each other at every step, and on two cores that
something else keeps busy, two threads ran a short generation into its timeout.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import xllamacpp

from lockgate.domain.call import DataClass
from lockgate.domain.inference import (
    Completion,
    Dispatch,
    Embed,
    Embedding,
    Generate,
    Result,
    Vector,
)
from lockgate.domain.usage import Usage
from lockgate.errors import Corrupt, Unavailable
from lockgate.ports import ModelFiles

BATCH_TOKENS = 512
MICRO_BATCH_TOKENS = 128
_QUIET = -1


class LlamaCppBackend:
    """Implements `ports.Backend` for `Generate`, and for `Embed` with GGUF embedding models."""

    data_classes = frozenset(DataClass)

    def __init__(self, files: ModelFiles, *, threads: int = 1, context_tokens: int = 2048) -> None:
        self._files = files
        self._threads = threads
        self._context_tokens = context_tokens
        self._servers: dict[tuple[str, bool], xllamacpp.Server] = {}
        self._turn = Lock()

    async def infer(self, dispatch: Dispatch) -> Result:
        """Run one inference in a worker thread; a second one waits for its turn."""
        return await asyncio.to_thread(self._infer, dispatch)

    def close(self) -> None:
        """Stop the model servers."""
        with self._turn:
            self._servers.clear()

    def _infer(self, dispatch: Dispatch) -> Result:
        request = dispatch.request
        with self._turn:
            match request:
                case Generate():
                    return _generate(self._open(dispatch.model, embedding=False), request)
                case Embed():
                    return _embed(self._open(dispatch.model, embedding=True), request)
                case _:
                    raise Unavailable(
                        "the backend `llama_cpp` generates and embeds; it cannot classify",
                        hint="give the role another backend in lockgate.toml",
                    )

    def _open(self, name: str, *, embedding: bool) -> "xllamacpp.Server":
        key = (name, embedding)
        if key not in self._servers:
            weights = self._files.files(name)["weights"]
            try:
                self._servers[key] = xllamacpp.Server(self._parameters(weights, embedding))
            except RuntimeError as error:
                raise Corrupt(
                    f"the model `{name}` does not load: {error}",
                    hint=f"run `lockgate model verify {name}`",
                ) from error
        return self._servers[key]

    def _parameters(self, weights: Path, embedding: bool) -> "xllamacpp.CommonParams":  # noqa: FBT001
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(weights)
        parameters.n_ctx = self._context_tokens
        parameters.n_batch = BATCH_TOKENS
        parameters.n_ubatch = BATCH_TOKENS if embedding else MICRO_BATCH_TOKENS
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = self._threads
        parameters.cpuparams_batch.n_threads = self._threads
        for pool in (parameters.cpuparams, parameters.cpuparams_batch):
            pool.poll = 0  # sleep rather than spin: spinning starves on a busy machine
        parameters.cache_prompt = False
        parameters.cache_ram_mib = 0
        parameters.n_ctx_checkpoints = 0
        parameters.warmup = False
        parameters.fit_params = False
        parameters.verbosity = _QUIET
        parameters.ui = False
        parameters.endpoint_slots = False
        parameters.n_threads_http = 1
        parameters.api_keys = [secrets.token_urlsafe(32)]
        if embedding:
            parameters.embedding = True
            parameters.embd_normalize = 2
        return parameters


def _generate(server: "xllamacpp.Server", request: Generate) -> Completion:
    body: dict[str, Any] = {
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": 0,
        "seed": request.seed,
        "cache_prompt": False,
        "logprobs": request.logprobs,
    }
    if request.schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": _plain(request.schema), "strict": True},
        }
    reply = _ask(server.handle_chat_completions, body)
    choice = reply["choices"][0]
    tokens = (choice.get("logprobs") or {}).get("content") or []
    return Completion(
        text=str(choice["message"].get("content") or ""),
        usage=_usage(reply),
        finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
        logprobs=tuple(float(token["logprob"]) for token in tokens),
    )


def _embed(server: "xllamacpp.Server", request: Embed) -> Embedding:
    vectors: list[Vector] = []
    usage = Usage()
    for text in request.texts:  # one at a time: a vector never depends on its neighbours
        reply = _ask(server.handle_embeddings, {"input": text})
        raw = np.asarray(reply["data"][0]["embedding"], dtype="<f4")
        vectors.append(raw.tobytes())
        usage += _usage(reply)
    return Embedding(vectors=tuple(vectors), usage=usage)


def _ask(handle: Any, body: dict[str, Any]) -> Mapping[str, Any]:
    try:
        reply = handle(body)
    except (ValueError, RuntimeError) as error:
        raise Unavailable(f"the model refused the request: {str(error)[:300]}") from error
    found = json.loads(reply) if isinstance(reply, str | bytes) else reply
    if "error" in found:
        problem = found["error"]
        raise Unavailable(
            f"the model refused the request: {str(problem.get('message', problem))[:300]}",
            hint="a longer context is `context_tokens` of the backend in lockgate.toml",
        )
    assert isinstance(found, Mapping)
    return found


def _usage(reply: Mapping[str, Any]) -> Usage:
    usage = reply.get("usage") or {}
    return Usage(
        input_tokens=int(usage.get("prompt_tokens", 0)),
        output_tokens=int(usage.get("completion_tokens", 0)),
    )


def _plain(value: Any) -> Any:
    """Return mappings and sequences as the plain containers that the binding takes."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
