import asyncio
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import xllamacpp

from lockgate.backends.openai import OpenAIBackend
from lockgate.domain.call import DataClass
from lockgate.domain.digest import Digest, JsonObject
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
from lockgate.errors import Unavailable
from lockgate.oci.models import ModelStore

HELLO = Generate(messages=(Message(role="user", content="Say hello."),), max_tokens=12)
SCHEMA: JsonObject = {
    "type": "object",
    "required": ["word"],
    "additionalProperties": False,
    "properties": {"word": {"enum": ["yes", "no"]}},
}


def ask(backend: OpenAIBackend, request: Inference) -> Result:
    dispatch = Dispatch(model="smollm2", digest=Digest.of(b"m"), request=request)
    return asyncio.run(backend.infer(dispatch))


@pytest.fixture(scope="module")
def llama_server(real_models: ModelStore) -> Iterator[str]:
    """A llama-server on loopback, with the real default model and a token."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(real_models.files("smollm2")["weights"])
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.verbosity = -1
    parameters.warmup = False
    parameters.api_keys = ["the-token"]
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


def test_a_llama_server_generates(llama_server: str) -> None:
    result = ask(OpenAIBackend(llama_server, token="the-token"), HELLO)

    assert isinstance(result, Completion)
    assert result.text
    assert result.usage.input_tokens > 0
    assert 0 < result.usage.output_tokens <= 12


def test_a_llama_server_holds_the_text_to_a_schema(llama_server: str) -> None:
    backend = OpenAIBackend(llama_server, token="the-token")

    result = ask(backend, Generate(messages=HELLO.messages, schema=SCHEMA, logprobs=True))

    assert isinstance(result, Completion)
    assert json.loads(result.text)["word"] in {"yes", "no"}
    assert result.logprobs


def test_a_wrong_token_is_refused_with_a_hint(llama_server: str) -> None:
    with pytest.raises(Unavailable, match="answered 401") as caught:
        ask(OpenAIBackend(llama_server, token="wrong"), HELLO)

    assert "token_env" in str(caught.value.hint)


Reply = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(reply: Reply) -> Generator[tuple[str, list[dict[str, object]]]]:
    """A server that answers every POST with `reply`, and the bodies that it got."""
    bodies: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            bodies.append(json.loads(self.rfile.read(length)))
            reply(self)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(status: int, body: bytes, **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b'{"error":"no such model"}', "answered 404: .*no such model"),
        (429, b"slow down", "answered 429"),
        (500, b"oops", "answered 500: oops"),
        (200, b"<html>", "did not answer with JSON"),
        (200, b"[1]", "did not answer with a JSON object"),
        (200, b'{"choices":[]}', "did not answer with a chat completion"),
        (200, b'{"choices":[{"message":null}]}', "did not answer with a chat completion"),
        (200, b"[" * 100_000, "did not answer with JSON"),
    ],
)
def test_a_server_that_misbehaves_is_unavailable_and_says_how(
    status: int, body: bytes, message: str
) -> None:
    with (
        serving(answer(status, body)) as (url, _),
        pytest.raises(Unavailable, match=message),
    ):
        ask(OpenAIBackend(url), HELLO)


def test_a_redirect_is_not_followed() -> None:
    with (
        serving(answer(200, b"{}")) as (elsewhere, reached),
        serving(answer(307, b"", location=f"{elsewhere}/chat/completions")) as (url, _),
        pytest.raises(Unavailable, match="answered 307"),
    ):
        ask(OpenAIBackend(url), HELLO)
    assert reached == []


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with serving(answer(200, b"{}")) as (url, _):
        pass
    with pytest.raises(Unavailable, match="failed"):
        ask(OpenAIBackend(url, timeout_s=5), HELLO)


def test_vectors_are_put_in_order_and_to_unit_length() -> None:
    data = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]
    body = json.dumps({"data": data, "usage": {"prompt_tokens": 7}}).encode()
    with serving(answer(200, body)) as (url, bodies):
        result = ask(OpenAIBackend(url, models={"smollm2": "their-name"}), Embed(texts=("a", "b")))

    assert isinstance(result, Embedding)
    vectors = [np.frombuffer(v, "<f4").tolist() for v in result.vectors]
    assert vectors == [pytest.approx([0.6, 0.8]), pytest.approx([0, 1])]
    assert result.usage.input_tokens == 7
    assert bodies[0]["model"] == "their-name"


@pytest.mark.parametrize("data", [[], [{"index": 0, "embedding": [0, 0]}] * 2])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_vectors_that_are_missing_or_not_finite_are_refused(data: list[object]) -> None:
    with (
        serving(answer(200, json.dumps({"data": data}).encode())) as (url, _),
        pytest.raises(Unavailable, match="did not answer with embeddings"),
    ):
        ask(OpenAIBackend(url), Embed(texts=("a", "b")))


def test_only_public_data_goes_out_unless_told_otherwise() -> None:
    assert OpenAIBackend("http://127.0.0.1:1/v1").data_classes == {DataClass.PUBLIC}
