"""Any server that speaks the OpenAI HTTP API: vLLM, llama-server, Ollama, a hosted one.

A request can never name a host: the address is resolved once and pinned, redirects are not
followed, and proxies that the environment names are not used.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
import numpy as np

from lockgate.domain.call import DataClass
from lockgate.domain.inference import Completion, Dispatch, Embed, Embedding, Generate, Result
from lockgate.domain.usage import Usage
from lockgate.errors import Unavailable

_Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
MAX_REPLY_BYTES = 64 << 20
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """How a server is reached."""

    find: Callable[[], Sequence[str]] | None = None
    """Resolves and judges the host of its `url`; called once, on another thread. None: the address
    is the one that stands in `url`."""
    ca_file: Path | None = None
    """Certificates to trust instead of the default ones."""


_AS_WRITTEN = Egress()


class OpenAIBackend:
    """Implements `ports.Backend` over HTTP, a connection a call."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 60.0,
        data_classes: frozenset[DataClass] = frozenset({DataClass.PUBLIC}),
        models: Mapping[str, str] | None = None,
        egress: Egress = _AS_WRITTEN,
    ) -> None:
        self._url = url.rstrip("/")
        self._egress = egress
        self._addresses: Sequence[str] = ()
        self._token = token
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s
        self._models = dict(models or {})
        self.data_classes = data_classes

    async def infer(self, dispatch: Dispatch) -> Result:
        """Send one request; the server's name for the model comes from the configuration."""
        model = self._models.get(dispatch.model, dispatch.model)
        match dispatch.request:
            case Generate():
                return await self._generate(model, dispatch.request, dispatch.trace_headers)
            case Embed():
                return await self._embed(model, dispatch.request, dispatch.trace_headers)
            case _:
                raise Unavailable(
                    "the backend `openai` generates and embeds; it cannot classify",
                    hint="give the role another backend in lockgate.toml",
                )

    async def _generate(self, model: str, request: Generate, more: _Headers) -> Completion:
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "seed": request.seed,
        }
        if request.logprobs:
            body["logprobs"] = True
        if request.schema is not None:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": request.schema, "strict": True},
            }
        reply = await self._post("chat/completions", body, more)
        try:
            choice = reply["choices"][0]
            tokens = (choice.get("logprobs") or {}).get("content") or []
            return Completion(
                text=str(choice["message"]["content"] or ""),
                usage=_usage(reply),
                finish_reason="length" if choice.get("finish_reason") == "length" else "stop",
                logprobs=tuple(float(token["logprob"]) for token in tokens),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise self._malformed("a chat completion", error) from error

    async def _embed(self, model: str, request: Embed, more: _Headers) -> Embedding:
        body = {"model": model, "input": list(request.texts), "encoding_format": "float"}
        reply = await self._post("embeddings", body, more)
        try:
            items = sorted(reply["data"], key=lambda item: int(item["index"]))
            rows = [np.asarray(item["embedding"], dtype=np.float64) for item in items]
            units = [row / np.linalg.norm(row) for row in rows]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._malformed("embeddings", error) from error
        if len(units) != len(request.texts) or not all(np.isfinite(u).all() for u in units):
            problem = f"{len(units)} vectors for {len(request.texts)} texts, or not finite"
            raise self._malformed("embeddings", ValueError(problem))
        return Embedding(
            vectors=tuple(unit.astype("<f4").tobytes() for unit in units), usage=_usage(reply)
        )

    async def _post(self, path: str, body: Mapping[str, Any], more: _Headers) -> Mapping[str, Any]:
        try:
            # The client's own timeouts are for one step each, and a server may drip.
            async with (
                asyncio.timeout(self._timeout_s),
                self._asked(path, body, more) as response,
            ):
                content = await self._read(response)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            failure = Unavailable(
                f"the model server at `{self._url}` failed: {str(error) or type(error).__name__}",
                hint="check that it runs and that `url` in lockgate.toml is right",
            )
            failure.why = _why(error)
            raise failure from error
        if response.status_code != httpx2.codes.OK:
            raise self._refused(response.status_code, content)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._malformed("JSON", error) from error
        if not isinstance(found, dict):
            raise self._malformed("a JSON object", TypeError(type(found).__name__))
        return found

    @asynccontextmanager
    async def _asked(
        self, path: str, body: Mapping[str, Any], more: _Headers
    ) -> AsyncGenerator[httpx2.Response]:
        """Ask the first of the server's addresses that can be reached."""
        url = httpx2.URL(f"{self._url}/{path}")
        traced = {name.decode("ascii"): value.decode("ascii") for name, value in more}
        headers = {**traced, **self._headers, "accept-encoding": "identity"}
        find = self._egress.find
        if find is not None:
            headers["host"] = url.netloc.decode("ascii")
            self._addresses = self._addresses or await asyncio.to_thread(find)
        places = [url.copy_with(host=found) for found in self._addresses] or [url]
        verify: Any = True
        if url.scheme == "https":
            verify = ssl.create_default_context(cafile=self._egress.ca_file)
        async with httpx2.AsyncClient(
            timeout=self._timeout_s, follow_redirects=False, trust_env=False, verify=verify
        ) as client:
            for place in places:
                request = client.build_request(
                    "POST", place, json=body, headers=headers,
                    extensions={"sni_hostname": url.host},
                )  # fmt: skip
                try:
                    response = await client.send(request, stream=True)
                except (httpx2.ConnectError, httpx2.ConnectTimeout):
                    if place is places[-1]:
                        raise
                    continue
                try:
                    yield response
                finally:
                    await response.aclose()
                break

    async def _read(self, response: httpx2.Response) -> bytes:
        parts: list[bytes] = []
        size = 0
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Unavailable(f"the model server at `{self._url}` sent a compressed answer")
        async for part in response.aiter_raw():
            size += len(part)
            if size > MAX_REPLY_BYTES:
                raise Unavailable(
                    f"the model server at `{self._url}` sent more than {MAX_REPLY_BYTES} bytes"
                )
            parts.append(part)
        return b"".join(parts)

    def _refused(self, status: int, content: bytes) -> Unavailable:
        said = " ".join(content[:_SHOWN].decode("utf-8", "replace").split())
        if self._token:
            said = said.replace(self._token, "***")  # it goes to callers and to the audit log
        hints = {
            401: "check the token that `token_env` names",
            403: "check the token that `token_env` names",
            404: "check `url` (it ends in `/v1`) and the model's name under `models`",
            429: "the server limits requests: try again later",
        }
        failure = Unavailable(
            f"the model server at `{self._url}` answered {status}: {said}",
            hint=hints.get(status),
        )
        failure.why = "status"
        return failure

    def _malformed(self, expected: str, error: Exception) -> Unavailable:
        return Unavailable(
            f"the model server at `{self._url}` did not answer with {expected}: "
            f"{str(error)[:_SHOWN]}"
        )


def _why(error: Exception) -> str:
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return "connect"
    return "timeout" if isinstance(error, TimeoutError | httpx2.TimeoutException) else "truncated"


def _usage(reply: Mapping[str, Any]) -> Usage:
    usage = reply.get("usage")
    counts = usage if isinstance(usage, Mapping) else {}

    def count(name: str) -> int:
        value = counts.get(name, 0)
        return value if isinstance(value, int) and value >= 0 else 0

    return Usage(input_tokens=count("prompt_tokens"), output_tokens=count("completion_tokens"))
