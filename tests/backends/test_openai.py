import asyncio
import gzip
import json
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import xllamacpp

from lockgate.backends.openai import Egress, OpenAIBackend
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
from lockgate.errors import Denied, Unavailable
from lockgate.oci.models import ModelStore
from upstream.lying import Server, says
from upstream.test_tls import certificate

__all__ = ["certificate"]

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


def hello() -> bytes:
    return json.dumps({"choices": [{"message": {"content": "hello"}}]}).encode()


def test_a_name_is_resolved_once_and_the_server_is_asked_at_that_address_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    asked: list[str] = []
    hosts: list[str] = []

    def find() -> list[str]:
        asked.append("model.example")
        return ["127.0.0.9", "127.0.0.1"]  # nobody listens at the first

    def reply(handler: BaseHTTPRequestHandler) -> None:
        hosts.append(handler.headers["host"])
        answer(200, hello())(handler)

    with serving(reply) as (url, _):
        named = url.replace("127.0.0.1", "model.example")
        backend = OpenAIBackend(named, egress=Egress(find=find), timeout_s=5)
        for _ in range(2):
            result = ask(backend, HELLO)
            assert isinstance(result, Completion)
            assert result.text == "hello"
    assert asked == ["model.example"]
    assert hosts == [named.split("/")[2]] * 2


def test_an_address_that_is_refused_is_asked_by_nobody() -> None:
    def find() -> list[str]:
        raise Denied("the upstream is at `169.254.169.254`")

    with serving(answer(200, hello())) as (url, bodies):
        with pytest.raises(Denied, match="169"):
            ask(OpenAIBackend(url, egress=Egress(find=find)), HELLO)
        assert bodies == []


def test_over_tls_the_pinned_address_must_prove_the_name(certificate: Path) -> None:
    async def work(url: str, ca_file: Path | None = None) -> Result:
        egress = Egress(find=lambda: ["127.0.0.1"], ca_file=ca_file)
        backend = OpenAIBackend(url, egress=egress, timeout_s=5)
        return await backend.infer(Dispatch(model="m", digest=Digest.of(b"m"), request=HELLO))

    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        script = says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(hello()), hello()))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await script(Server(), reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        found = await work(f"https://localhost:{port}/v1", ca_file=certificate)
        assert isinstance(found, Completion)
        with pytest.raises(Unavailable, match="failed"):
            await work(f"https://model.example:{port}/v1", ca_file=certificate)
        with pytest.raises(Unavailable, match="failed"):
            await work(f"https://localhost:{port}/v1")
        server.close()
        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_an_answer_that_drips_is_given_up_and_a_compressed_one_is_not_unpacked() -> None:
    ended = Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not ended.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            pass

    with serving(drip) as (url, _):
        try:
            with pytest.raises(Unavailable, match="failed"):
                ask(OpenAIBackend(url, timeout_s=0.3), HELLO)
        finally:
            ended.set()
    bomb = {"content-encoding": "gzip"}
    with (
        serving(answer(200, gzip.compress(b"0" * 1000), **bomb)) as (url, _),
        pytest.raises(Unavailable, match="compressed"),
    ):
        ask(OpenAIBackend(url), HELLO)


def test_a_server_that_quotes_our_key_does_not_make_us_say_it() -> None:
    with (
        serving(answer(401, b"bad key s3cret-key")) as (url, _),
        pytest.raises(Unavailable) as caught,
    ):
        ask(OpenAIBackend(url, token="s3cret-key"), HELLO)
    assert "bad key ***" in str(caught.value)
    assert "s3cret" not in str(caught.value)


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
