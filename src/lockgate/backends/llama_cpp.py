"""GGUF models inside the process, through `xllamacpp` (llama.cpp's server, without its HTTP).

The same request gives the same bytes whatever came before it: temperature 0, a fixed seed, a fixed
number of threads, one sequence at a time, and no prompt cache, since reuse would change the shapes
of later batches and with them the last bits.

One thread by default. llama.cpp's threads wait for each other by spinning, several hundred times a
token: on two cores that something else keeps busy, two threads took 4 to 97 s for what one thread
did in 1.2 to 1.8 s.
"""

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, TypeAlias

import numpy as np
import xllamacpp

from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest, JsonObject
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
from lockgate.errors import Corrupt, RequestRefused, Unavailable
from lockgate.ports import ModelFiles

EMBEDDING_TOKENS = 512
"""An embedding model takes a text in one batch, so this is the longest text too."""
BATCH_TOKENS = 512
MICRO_BATCH_TOKENS = 128
"""A larger one takes 200 kB a token for the logits and is no faster on a processor."""
_QUIET = -1
_BAD_REQUEST = 400
_UNFINISHED = len("\\u00e")
"""The longest cut that does not look like JSON any more."""
_LOOPBACK = "127.0.0.1"
_SHARD = "shard-"
"""Role of the second file of weights and those after it, with its number."""

# llguidance's own extension: without it half of the tokens of a small model are white space.
_COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

_CONTROL = re.compile(r"<(\|[A-Za-z0-9_]{1,40}\|)>")
_Reply: TypeAlias = Mapping[str, Any]


class LlamaCppBackend:
    """Implements `ports.Backend` for `Generate`, and for `Embed` with GGUF embedding models.

    One inference at a time, in one worker thread; a cancelled one stops at its next token.
    """

    data_classes = frozenset(DataClass)

    def __init__(self, files: ModelFiles, *, threads: int = 1, context_tokens: int = 2048) -> None:
        self._files = files
        self._threads = threads
        self._context_tokens = context_tokens
        self._servers: dict[tuple[Digest, bool], xllamacpp.Server] = {}
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llama-cpp")

    async def infer(self, dispatch: Dispatch) -> Result:
        """Run one inference; a second one waits for its turn.

        Raises:
            Corrupt: the model's file does not load.
            Unavailable: as the port says, and for a prompt that is longer than the context.

        """
        cancelled = Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._worker, self._infer, dispatch, cancelled)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def stream(self, dispatch: Dispatch, write: Callable[[str], None]) -> Completion:
        """See `ports.StreamingBackend`. Raises as `infer`."""
        assert isinstance(dispatch.request, Generate), "only a text comes in parts"
        cancelled = Event()
        loop = asyncio.get_running_loop()

        def pass_on(text: str) -> None:
            loop.call_soon_threadsafe(write, text)

        def work() -> Completion:
            server = self._open(dispatch, embedding=False)
            assert isinstance(dispatch.request, Generate)
            return _generate(server, dispatch.request, cancelled, pass_on)

        try:
            return await loop.run_in_executor(self._worker, work)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def close(self) -> None:
        """Stop the models, after the inference that runs."""
        self._worker.submit(self._servers.clear)
        self._worker.shutdown()

    def _infer(self, dispatch: Dispatch, cancelled: Event) -> Result:
        match dispatch.request:
            case Generate() as request:
                return _generate(self._open(dispatch, embedding=False), request, cancelled)
            case Embed() as request:
                return _embed(self._open(dispatch, embedding=True), request, cancelled)
            case _:
                raise Unavailable(
                    "the backend `llama_cpp` generates and embeds; it cannot classify",
                    hint="give the role another backend in lockgate.toml",
                )

    def _open(self, dispatch: Dispatch, *, embedding: bool) -> "xllamacpp.Server":
        key = (dispatch.digest, embedding)
        if key not in self._servers:
            files = self._files.files(dispatch.model, dispatch.digest)
            with _together(files) as weights:
                parameters = self._parameters(weights, embedding=embedding)
                self._servers[key] = _start(dispatch.model, parameters)
        return self._servers[key]

    def _parameters(self, weights: Path, *, embedding: bool) -> "xllamacpp.CommonParams":
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(weights)
        parameters.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_MMAP
        parameters.n_ctx = EMBEDDING_TOKENS if embedding else self._context_tokens
        parameters.n_batch = EMBEDDING_TOKENS if embedding else BATCH_TOKENS
        parameters.n_ubatch = EMBEDDING_TOKENS if embedding else MICRO_BATCH_TOKENS
        parameters.embedding = embedding
        parameters.embd_normalize = 2  # Euclidean
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = self._threads
        parameters.cpuparams_batch.n_threads = self._threads
        for threads in (parameters.cpuparams, parameters.cpuparams_batch):
            threads.poll = 0  # sleep rather than spin: spinning starves on a busy machine
        parameters.cache_prompt = False
        parameters.cache_ram_mib = 0
        parameters.n_ctx_checkpoints = 0
        parameters.warmup = False
        parameters.fit_params = False
        parameters.verbosity = _QUIET
        parameters.ui = False
        parameters.endpoint_slots = False
        parameters.n_threads_http = 1
        return parameters


@contextmanager
def _together(files: Mapping[str, Path]) -> Iterator[Path]:
    """Lend the path of the weights. Of several files, llama.cpp finds the others by its name.

    It holds them open, so the names may go once it has loaded them.
    """
    shards = sorted((at for at in files if at.startswith(_SHARD)), key=lambda at: (len(at), at))
    if not shards:
        yield files["weights"]
        return
    parts = [files[at] for at in ("weights", *shards)]
    with TemporaryDirectory(prefix="lockgate-") as folder:
        names = [
            Path(folder, f"model-{number:05d}-of-{len(parts):05d}.gguf")
            for number in range(1, len(parts) + 1)
        ]
        for name, part in zip(names, parts, strict=True):
            name.symlink_to(part.absolute())
        yield names[0]


def _start(name: str, parameters: "xllamacpp.CommonParams") -> "xllamacpp.Server":
    """Load a model.

    The library must listen, so it does on a socket whose name is gone at once; where a socket
    has no place, on loopback behind a key that nobody knows.
    """
    parameters.api_keys = [secrets.token_urlsafe(32)]
    try:
        with TemporaryDirectory(prefix="lockgate-") as private:
            parameters.hostnames = [f"{private}/llama.sock"]
            return xllamacpp.Server(parameters)
    except (OSError, RuntimeError):  # it does not say whether the socket or the model failed
        parameters.hostnames = [_LOOPBACK]
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise Corrupt(
            f"the model `{name}` does not load: its file is damaged, or not a GGUF model of a "
            "kind that llama.cpp knows",
            hint=f"run `lockgate model verify {name}`",
        ) from error


@dataclass(slots=True)
class _Stream:
    """What one generation said, chunk by chunk."""

    cancelled: Event
    text: list[str] = field(default_factory=list[str])
    logprobs: list[float] = field(default_factory=list[float])
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    error: _Reply | None = None
    write: Callable[[str], None] | None = None

    def take(self, chunk: _Reply) -> bool:
        """Keep what a chunk says; return whether to stop."""
        self.error = chunk.get("error", self.error)
        self.usage = _usage(chunk) if "usage" in chunk else self.usage
        for choice in chunk.get("choices", ()):
            text = choice["delta"].get("content") or ""
            self.text.append(text)
            if self.write is not None and text:
                self.write(text)
            tokens = (choice.get("logprobs") or {}).get("content") or ()
            self.logprobs += [float(token["logprob"]) for token in tokens]
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        return self.cancelled.is_set()


def _generate(
    server: "xllamacpp.Server",
    request: Generate,
    cancelled: Event,
    write: Callable[[str], None] | None = None,
) -> Completion:
    """Generate text.

    A character that takes several tokens has one log-probability, that of its last token.
    """
    body: dict[str, Any] = {
        "messages": [{"role": m.role, "content": _plain(m.content)} for m in request.messages],
        "max_tokens": request.max_tokens,
        "temperature": 0,
        "seed": request.seed,
        "cache_prompt": False,
        "logprobs": request.logprobs,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.logprobs:
        body["top_logprobs"] = 1
    if request.schema is not None:
        body["grammar"] = _grammar(request.schema)
    stream = _Stream(cancelled, write=write)
    _ask(server.handle_chat_completions, body, stream.take)
    if cancelled.is_set():
        raise Unavailable("the inference was cancelled")
    if stream.error is not None:
        raise _refused(
            stream.error,
            "a longer context is `context_tokens` of the backend in lockgate.toml",
        )
    text = "".join(stream.text)
    finish_reason: Any = "length" if stream.finish_reason == "length" else "stop"
    if request.schema is not None:
        _expect_json(text, whole=finish_reason == "stop")
    return Completion(
        text=text,
        usage=stream.usage,
        finish_reason=finish_reason,
        logprobs=tuple(stream.logprobs),
    )


def _plain(text: str) -> str:
    """Return a text that cannot end its turn and begin another one.

    llama.cpp reads control tokens wherever they stand, so a diff with `<|im_start|>system` in it
    would speak for us. They are broken up; nothing else is changed.
    """
    return _CONTROL.sub(r"< \1 >", text) if "<|" in text else text


def _grammar(schema: JsonObject) -> str:
    plain = json.loads(json.dumps(schema, default=dict))
    grammar: str = _ask(xllamacpp.json_schema_to_grammar, {**plain, "x-guidance": _COMPACT})
    return grammar


def _expect_json(text: str, *, whole: bool) -> None:
    # llguidance answers a schema that it cannot enforce with no constraint at all.
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        unfinished = error.msg.startswith("Unterminated") or error.pos >= len(text) - _UNFINISHED
        if whole or not unfinished:
            raise RequestRefused(
                "llama.cpp cannot hold a text to this JSON Schema",
                hint="leave out what it does not know, such as lookaheads in a `pattern`",
            ) from error
    except RecursionError as error:
        raise Unavailable("the model's text is nested too deeply to be read") from error


def _embed(server: "xllamacpp.Server", request: Embed, cancelled: Event) -> Embedding:
    vectors: list[Vector] = []
    usage = Usage()
    for text in request.texts:  # one at a time: a vector never depends on its neighbours
        if cancelled.is_set():
            raise Unavailable("the inference was cancelled")
        reply: _Reply = _ask(server.handle_embeddings, {"input": text, "encoding_format": "float"})
        if "error" in reply:
            raise _refused(
                reply["error"],
                f"a text for a GGUF embedding model has at most {EMBEDDING_TOKENS} tokens",
            )
        rows: Sequence[Sequence[float]] = [item["embedding"] for item in reply["data"]]
        vectors.append(np.asarray(rows[0], dtype="<f4").tobytes())
        usage += _usage(reply)
    return Embedding(vectors=tuple(vectors), usage=usage)


def _ask(handle: Callable[..., Any], *given: object) -> Any:
    try:
        return handle(*given)
    except (ValueError, RuntimeError) as error:
        raise Unavailable(f"the model refused the request: {str(error)[:300]}") from error


def _refused(problem: _Reply, hint: str) -> Unavailable:
    kind = RequestRefused if problem.get("code") == _BAD_REQUEST else Unavailable
    return kind(
        f"the model refused the request: {str(problem.get('message', problem))[:300]}", hint=hint
    )


def _usage(reply: _Reply) -> Usage:
    usage = reply.get("usage") or {}
    return Usage(
        input_tokens=int(usage.get("prompt_tokens", 0)),
        output_tokens=int(usage.get("completion_tokens", 0)),
    )
